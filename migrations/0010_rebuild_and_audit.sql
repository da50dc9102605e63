-- What a rebuild, a waiting room and the audit have to remember beyond Redis.

-- The server, by its own names, in which a rebuild took `generation` and has not been seen to finish. A later rebuild on the
-- same server may use that generation, as nothing has begun it; null: it is in use, or nobody knows.
ALTER TABLE campaigns ADD COLUMN generation_taken_in text;

-- Whether an operator has stopped the admission of the waiting room. Redis decides by its own word; a rebuild brings this back.
ALTER TABLE campaigns ADD COLUMN waiting_stopped boolean NOT NULL DEFAULT false;

-- What is wrong, apart from figures that change all the time: another text is another finding, and is said aloud.
ALTER TABLE broken_audits ADD COLUMN wrong text NOT NULL DEFAULT '';
