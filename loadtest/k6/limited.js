// limited: everybody at once, and units for a few. Exactly the stock is granted, and everybody else hears that it is sold out.

import { claim } from './lib/calls.js';
import { grants } from './lib/records.js';
import { finish, open } from './lib/campaign.js';
import { claimed, mayHear } from './lib/judge.js';
import { options as optionsOf, rush } from './lib/load.js';
import { settings as read } from './lib/settings.js';
import { summary } from './lib/summary.js';
import { visits } from './lib/users.js';

const NAME = 'limited';
const settings = read((users) => Math.ceil(users / 10));
const allowed = mayHear(settings);

export const options = optionsOf(NAME, settings, rush, grants(settings));
export const setup = () => open(settings, NAME);
export const teardown = (campaign) => finish(settings, campaign);
export const handleSummary = (data) => summary(NAME, settings, data);

export default visits(settings, (campaign, user) => {
    claimed(claim(settings, campaign, user), user, campaign, settings, undefined, allowed);
});
