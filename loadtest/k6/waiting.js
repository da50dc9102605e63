// waiting: a waiting room before the units. Everybody joins, asks again when told to, and claims with the pass once it is
// their turn. Some leave before, some leave from inside; who has no pass, or one that has ended, is not served.
//
// Virtual users share nothing, so that this cannot see who was let in before whom: goose's scenario of the same name does.

import { sleep } from 'k6';
import encoding from 'k6/encoding';

import { claim, claimWithPass, join, leave, room, statusOf } from './lib/calls.js';
import { QUEUES, closeQueue, isWrong, must, queued, said } from './lib/records.js';
import { finish, open } from './lib/campaign.js';
import { body, claimed, describe, isRefusal, mayHear } from './lib/judge.js';
import { options as optionsOf, rush } from './lib/load.js';
import { settings as read } from './lib/settings.js';
import { summary } from './lib/summary.js';
import { visits } from './lib/users.js';

const NAME = 'waiting';
const EVERY_MS = 250;
/** Nobody has to ask that often. */
const ASKED_MAX = 200;
const settings = read((users) => users + 1);
const allowed = mayHear(settings);

// At first twice as many come as are let in; as many in all as are let in meanwhile.
const waiting = { admit: Math.ceil((settings.rate * EVERY_MS) / 1000), every_ms: EVERY_MS };

export const options = optionsOf(NAME, settings, rush, {
    ...QUEUES,
    granted: ['count>0'],
    admitted: ['count>0'],
    left: ['count>0'],
    refused: ['count>0'],
});
export const setup = () => open(settings, NAME, { waiting });
export const teardown = (campaign) => {
    settle(campaign);
    finish(settings, campaign);
};
export const handleSummary = (data) => summary(NAME, settings, data);

/** What visitors do besides waiting; which each one does is said by the number of the visit alone. */
const MANNERS = { 1: 'pushy', 3: 'nervous', 5: 'leaves the queue', 7: 'leaves inside', 9: 'pushy', 13: 'leaves the queue' };
const MANNERS_COUNT = 16;

export default visits(settings, (campaign, user) => {
    const manner = MANNERS[user.visit % MANNERS_COUNT];
    if (manner === 'pushy') {
        refused(campaign, user, claim(settings, campaign, user));
    }
    let position = understand(join(settings, campaign, user), 202, user);
    if (position === undefined) {
        return;
    }
    queued(position.place);
    if (manner === 'nervous' && position.pass === undefined) {
        // `ahead` was exact when the visitor joined, and may now be a second old.
        position = understand(join(settings, campaign, user), 202, user, { ...position, ahead: Infinity });
    }
    for (let asked = 0; asked < ASKED_MAX && position !== undefined; asked += 1) {
        if (position.pass !== undefined) {
            comeIn(campaign, user, manner, position);
            return;
        }
        if (manner === 'leaves the queue') {
            goAway(campaign, user, position);
            return;
        }
        sleep(position.again_s);
        position = understand(statusOf(settings, campaign, user, position.ticket), 200, user, position);
    }
    must(position === undefined, () => `${user.name} asked ${ASKED_MAX} times and still waits`);
});

/** A visitor's position by this answer; undefined if that cannot be, by the contract or by what was said before. */
function understand(response, status, user, before) {
    const answer = body(response);
    const isPersonal = typeof answer.ticket === 'string' && response.headers['Cache-Control'] === 'no-store';
    if (isPersonal && response.status === status && answer.state === 'waiting') {
        const { place, ahead, poll_after_s, ticket } = answer;
        const holds = must(
            Number.isInteger(place) &&
                Number.isInteger(ahead) &&
                ahead >= 0 &&
                ahead < place &&
                poll_after_s > 0 &&
                response.headers['Retry-After'] === `${poll_after_s}` &&
                (before === undefined || (before.place === place && ahead <= before.ahead)),
            () => `${user.name} stood at ${JSON.stringify(before)}: ${describe(response)}`,
        );
        return holds ? { place, ahead, ticket, again_s: poll_after_s } : undefined;
    }
    if (isPersonal && response.status === 200 && answer.state === 'admitted') {
        const place = numberOf(answer.pass, user);
        const holds = must(
            place > 0 && Date.parse(answer.expires_at) > 0 && (before === undefined || before.place === place),
            () => `${user.name} stood at ${JSON.stringify(before)}: ${describe(response)}`,
        );
        return holds ? { place, ahead: 0, ticket: answer.ticket, pass: answer.pass } : undefined;
    }
    isWrong(`not an answer for ${user.name}, who waits: ${describe(response)}`);
    return undefined;
}

/** The arrival number in a pass of this user; 0 if it is none. */
function numberOf(pass, user) {
    try {
        const claims = JSON.parse(encoding.b64decode(pass.split('.')[1], 'rawurl', 's'));
        return claims.sub === user.name ? Number(claims.jti.split('.')[1]) : 0;
    } catch (_) {
        return 0;
    }
}

function comeIn(campaign, user, manner, position) {
    said.admitted.add(1);
    if (manner === 'leaves inside') {
        goAway(campaign, user, position);
        refused(campaign, user, claimWithPass(settings, campaign, user, position.pass));
        return;
    }
    const answer = claimWithPass(settings, campaign, user, position.pass);
    claimed(answer, user, campaign, settings, undefined, allowed);
}

/** Leaves, twice, and is told so when asking. */
function goAway(campaign, user, position) {
    for (let times = 0; times < 2; times += 1) {
        const answer = leave(settings, campaign, user);
        must(answer.status === 204, () => `not left: ${describe(answer)}`);
    }
    said.left.add(1);
    const answer = statusOf(settings, campaign, user, position.ticket);
    must(
        answer.status === 200 && body(answer).state === 'expired',
        () => `${user.name} has left: ${describe(answer)}`,
    );
}

/** Without a pass, or with one that has ended, there is only the way to the waiting room. */
function refused(campaign, user, answer) {
    const link = answer.headers['Link'] || '';
    const holds = isRefusal(answer, 403, 'pass_required');
    const shows = must(
        link.includes(`/rooms/${campaign}>`) && link.includes('waiting-room'),
        () => `no way to the waiting room: ${describe(answer)}`,
    );
    if (holds && shows) {
        said.refused.add(1);
    }
}

/** Nobody waits any more, and nobody was late who asked as told. */
function settle(campaign) {
    const answer = room(settings, campaign);
    const figures = body(answer);
    must(
        figures.waiting === 0 && figures.inside === 0 && figures.no_shows === 0,
        () => `somebody is left or was late: ${describe(answer)}`,
    );
    closeQueue(figures.admitted + figures.left_queue);
}
