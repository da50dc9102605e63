// sold_out: a storm on a campaign that has nothing left. Not one claim is granted, with a key or without.

import http from 'k6/http';

import { claim, claimRequest } from './lib/calls.js';
import { finish, open } from './lib/campaign.js';
import { claimed } from './lib/judge.js';
import { options as optionsOf, rush } from './lib/load.js';
import { settings as read } from './lib/settings.js';
import { summary } from './lib/summary.js';
import { user, visits } from './lib/users.js';

const NAME = 'sold_out';
/** Claims of those who came before the storm that are under way at a time. */
const BATCH = 20;
const settings = read(() => 10);

// All of it is granted before the storm, so that one more would be one too many.
export const options = optionsOf(NAME, settings, rush, { granted: [`count==${settings.stock}`], sold_out: ['count>0'] });
export const teardown = (campaign) => finish(settings, campaign);
export const handleSummary = (data) => summary(NAME, settings, data);

export function setup() {
    const campaign = open(settings, NAME);
    for (let sold = 0; sold < settings.stock; sold += BATCH) {
        const early = [];
        for (let no = sold; no < Math.min(sold + BATCH, settings.stock); no += 1) {
            early.push(user(`early-${no}`, settings.secret));
        }
        const answers = http.batch(early.map((who) => claimRequest(settings, campaign, who)));
        answers.forEach((answer, at) => claimed(answer, early[at], campaign, settings, undefined, ['granted']));
    }
    return campaign;
}

export default visits(settings, (campaign, who) => {
    // With a key Redis has to be asked, without one a node may answer from memory.
    const key = who.visit % 4 === 0 ? `visit-${who.visit}` : undefined;
    claimed(claim(settings, campaign, who, key), who, campaign, settings, key, ['sold_out']);
});
