// trickle: claims at a steady pace, and most of them are given back soon after. A unit that was given back is in stock
// again, its number is never used again, and giving it back twice changes nothing.

import { sleep } from 'k6';

import { claim, giveBack, readClaim } from './lib/calls.js';
import { giveBack as noteGiveBack, must, said } from './lib/records.js';
import { finish, open } from './lib/campaign.js';
import { body, claimed, describe, isClaim, mayHear } from './lib/judge.js';
import { options as optionsOf, steady } from './lib/load.js';
import { settings as read } from './lib/settings.js';
import { summary } from './lib/summary.js';
import { visits } from './lib/users.js';

const NAME = 'trickle';
/** How long a unit is kept at most before it is given back, in s. */
const KEPT_MAX_S = 0.3;
const settings = read((users) => users + 1, true);
const allowed = mayHear(settings);

export const options = optionsOf(NAME, settings, steady, { granted: ['count>0'], given_back: ['count>0'] });
export const setup = () => open(settings, NAME);
export const teardown = (campaign) => finish(settings, campaign);
export const handleSummary = (data) => summary(NAME, settings, data);

export default visits(settings, (campaign, user) => {
    const got = claimed(claim(settings, campaign, user), user, campaign, settings, undefined, allowed);
    if (got.meaning !== 'granted') {
        return;
    }
    const is = (answer, state) =>
        must(
            answer.status === 200 &&
                isClaim(body(answer), user, campaign, settings, state) &&
                body(answer).claim_id === got.claim.claim_id,
            () => `not ${got.claim.claim_id}, ${state}: ${describe(answer)}`,
        );
    if (is(readClaim(settings, user, got.claim.claim_id), 'live')) {
        said.read.add(1);
    }
    // Every third user keeps it.
    if (user.visit % 3 === 0) {
        return;
    }
    sleep(Math.random() * KEPT_MAX_S);
    if (is(giveBack(settings, user, got.claim.claim_id), 'given_back')) {
        noteGiveBack();
    }
    is(giveBack(settings, user, got.claim.claim_id), 'given_back');
});
