// Who comes? A user, with a token that this script signs itself: HS256, as the server's settings have it.

import crypto from 'k6/crypto';
import encoding from 'k6/encoding';
import exec from 'k6/execution';

import { comes } from './records.js';

/** Longer than any run. */
const VALID_FOR_S = 2 * 3600;

const HEADER = encoding.b64encode('{"alg":"HS256","typ":"JWT"}', 'rawurl');

/** A user of this name. */
export function user(name, secret) {
    const exp = Math.floor(Date.now() / 1000) + VALID_FOR_S;
    const signed = `${HEADER}.${encoding.b64encode(JSON.stringify({ sub: name, exp }), 'rawurl')}`;
    return { name, bearer: `Bearer ${signed}.${crypto.hmac('sha256', secret, signed, 'base64rawurl')}` };
}

/**
 * What k6 runs for each visit: `visit(campaign, user)`. Visits are numbered from 0 over all virtual users, and users take
 * turns. k6 begins a few more than were asked for, because it would otherwise begin one too few: these do nothing.
 */
export function visits(settings, visit) {
    return (campaign) => {
        const no = exec.scenario.iterationInTest;
        if (no < settings.visits) {
            comes(no < settings.users);
            visit(campaign, { ...user(`user-${no % settings.users}`, settings.secret), visit: no });
        }
    };
}
