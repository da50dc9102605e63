// mixed: what a day brings. Claims with a key and their replays, claims without, give-backs, reads of the campaign, of
// one's own claims and of one claim, claims of others that nobody may see, and requests that are refused.

import { claim, giveBack, readClaim, readMine, view } from './lib/calls.js';
import { badInput } from './lib/bad_input.js';
import { giveBack as noteGiveBack, must, said } from './lib/records.js';
import { finish, open } from './lib/campaign.js';
import { body, claimed, describe, isClaim, isRefusal, mayHear } from './lib/judge.js';
import { options as optionsOf, steady } from './lib/load.js';
import { settings as read } from './lib/settings.js';
import { summary } from './lib/summary.js';
import { user as userOf, visits } from './lib/users.js';

const NAME = 'mixed';
const settings = read((users) => users + 1, true);
const allowed = mayHear(settings);

export const options = optionsOf(NAME, settings, steady, {
    granted: ['count>0'],
    replayed: ['count>0'],
    given_back: ['count>0'],
    read: ['count>0'],
    refused: ['count>0'],
});
export const setup = () => open(settings, NAME);
export const teardown = (campaign) => finish(settings, campaign);
export const handleSummary = (data) => summary(NAME, settings, data);

/** Ten visits: which of these each one is, is said by its number alone, so that every run has the same mix. */
const VISITS = [
    claimAndReplay,
    lookAround,
    claimAndRead,
    claimAndReplay,
    claimAndGiveBack,
    badRequest,
    claimAndReplay,
    claimAndRead,
    claimOfAnother,
    claimAndReplay,
];

export default visits(settings, (campaign, user) => {
    VISITS[user.visit % VISITS.length](campaign, user);
});

function claimAndReplay(campaign, user) {
    const key = `visit-${user.visit}`;
    const submit = (may) => claimed(claim(settings, campaign, user, key), user, campaign, settings, key, may);
    const first = submit(allowed);
    if (first.meaning !== 'granted') {
        return;
    }
    const again = submit(['replayed']);
    must(
        again.meaning !== 'replayed' || again.claim.coupon_code === first.claim.coupon_code,
        () => `${key} was answered with ${first.claim.claim_id} and then with ${again.claim.claim_id}`,
    );
}

function claimAndRead(campaign, user) {
    const { meaning, claim: own } = claimOnce(campaign, user);
    if (meaning !== 'granted') {
        return;
    }
    reads(readClaim(settings, user, own.claim_id), (answer) => isSame(answer, own, 'live', user, campaign));
    reads(
        readMine(settings, user, campaign),
        ({ items }) => items.length === 1 && isSame(items[0], own, 'live', user, campaign),
    );
}

function claimAndGiveBack(campaign, user) {
    const { meaning, claim: own } = claimOnce(campaign, user);
    if (meaning !== 'granted') {
        return;
    }
    for (const isFirst of [true, false]) {
        const answer = giveBack(settings, user, own.claim_id);
        const holds = must(
            answer.status === 200 && isSame(body(answer), own, 'given_back', user, campaign),
            () => `not ${own.claim_id}, given back: ${describe(answer)}`,
        );
        if (holds && isFirst) {
            noteGiveBack();
        }
    }
}

function claimOfAnother(campaign, user) {
    const { meaning, claim: own } = claimOnce(campaign, user);
    if (meaning !== 'granted') {
        return;
    }
    const nosy = userOf(`nosy-${user.visit}`, settings.secret);
    for (const answer of [readClaim(settings, nosy, own.claim_id), giveBack(settings, nosy, own.claim_id)]) {
        if (isRefusal(answer, 404, 'not_found')) {
            said.refused.add(1);
        }
    }
}

function lookAround(campaign, user) {
    const answer = view(settings, campaign);
    reads(
        answer,
        ({ id, stock, left, claimed: live }) =>
            id === campaign && stock === settings.stock && left >= 0 && live >= 0 && left + live === stock,
    );
    const again = view(settings, campaign, answer.headers['Etag']);
    must(again.status === 200 || again.status === 304, () => `neither the view nor 304: ${describe(again)}`);
    const stranger = userOf(`stranger-${user.visit}`, settings.secret);
    reads(readMine(settings, stranger, campaign), ({ items }) => items.length === 0);
}

function badRequest(campaign, user) {
    badInput(settings, campaign, user, Math.floor(user.visit / VISITS.length));
}

function claimOnce(campaign, user) {
    return claimed(claim(settings, campaign, user), user, campaign, settings, undefined, allowed);
}

function isSame(claim, own, state, user, campaign) {
    return isClaim(claim, user, campaign, settings, state) && claim.claim_id === own.claim_id;
}

function reads(answer, holds) {
    if (must(answer.status === 200 && holds(body(answer)), () => `not what is to be read: ${describe(answer)}`)) {
        said.read.add(1);
    }
}
