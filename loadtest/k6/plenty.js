// plenty: everybody at once, and a unit for everybody. Whoever comes gets one.

import { claim } from './lib/calls.js';
import { grants } from './lib/records.js';
import { finish, open } from './lib/campaign.js';
import { claimed, mayHear } from './lib/judge.js';
import { options as optionsOf, rush } from './lib/load.js';
import { settings as read } from './lib/settings.js';
import { summary } from './lib/summary.js';
import { visits } from './lib/users.js';

const NAME = 'plenty';
const settings = read((users) => users + 1);
const allowed = mayHear(settings);

export const options = optionsOf(NAME, settings, rush, grants(settings));
export const setup = () => open(settings, NAME);
export const teardown = (campaign) => finish(settings, campaign);
export const handleSummary = (data) => summary(NAME, settings, data);

export default visits(settings, (campaign, user) => {
    // Half of them with a key: a claim is a claim.
    const key = user.visit % 2 === 0 ? `visit-${user.visit}` : undefined;
    claimed(claim(settings, campaign, user, key), user, campaign, settings, key, allowed);
});
