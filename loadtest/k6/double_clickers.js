// double_clickers: each user submits several times at the same moment: always with one key, or never with one, or both.
// One unit each, never two, whatever was submitted first.

import http from 'k6/http';

import { claimRequest } from './lib/calls.js';
import { grants, must } from './lib/records.js';
import { finish, open } from './lib/campaign.js';
import { claimed } from './lib/judge.js';
import { options as optionsOf, rush } from './lib/load.js';
import { settings as read } from './lib/settings.js';
import { summary } from './lib/summary.js';
import { visits } from './lib/users.js';

const NAME = 'double_clickers';
const SUBMISSIONS = 4;
const settings = read((users) => users + 1);

export const options = optionsOf(NAME, settings, rush, grants(settings));
export const setup = () => open(settings, NAME);
export const teardown = (campaign) => finish(settings, campaign);
export const handleSummary = (data) => summary(NAME, settings, data);

/** The key of each submission. */
function keysOf(visit) {
    const key = `visit-${visit}`;
    const of = [() => key, () => undefined, (submission) => (submission % 2 === 0 ? key : undefined)][visit % 3];
    return Array.from({ length: SUBMISSIONS }, (_, submission) => of(submission));
}

/** What a submission may hear: another submission, or an earlier visit, may have come first. */
function allowed(key) {
    const meanings = ['granted', 'limit_reached'];
    if (key !== undefined) {
        meanings.push('replayed');
    }
    if (settings.stock < settings.users) {
        meanings.push('sold_out');
    }
    return meanings;
}

export default visits(settings, (campaign, user) => {
    const keys = keysOf(user.visit);
    const answers = http.batch(keys.map((key) => claimRequest(settings, campaign, user, key)));
    const heard = answers.map((answer, submission) =>
        claimed(answer, user, campaign, settings, keys[submission], allowed(keys[submission])),
    );
    const meanings = heard.map(({ meaning }) => meaning);
    const told = () => `${user.name} submitted ${SUBMISSIONS} times and heard ${meanings.join(', ')}`;
    const units = new Set(heard.filter(({ claim }) => claim !== undefined).map(({ claim }) => claim.claim_id));
    must(units.size <= 1, () => `${told()}, of ${[...units].join(', ')}`);
    const granted = meanings.filter((meaning) => meaning === 'granted').length;
    must(granted <= 1, told);
    if (settings.users === settings.visits && settings.stock >= settings.users) {
        // Nobody came before and there is a unit: one submission gets it, and the others hear so.
        must(granted === 1 && units.size === 1, told);
        const others = keys.every((key) => key !== undefined) ? 'replayed' : 'limit_reached';
        const mixed = new Set(keys).size > 1;
        must(mixed || meanings.filter((meaning) => meaning === others).length === SUBMISSIONS - 1, told);
    }
});
