// What may not be asked? Requests that have to be refused, each with its status and its code.

import { must, said } from './records.js';
import { ask } from './calls.js';
import { describe, isRefusal } from './judge.js';
import { user as userOf } from './users.js';

const KEY_BYTES_MAX = 255;

const KINDS = [
    // A key that is too long.
    (path, user) => ['POST', path, { Authorization: user.bearer, 'Idempotency-Key': 'k'.repeat(KEY_BYTES_MAX + 1) }, 400, 'invalid_request'],
    // A parameter that nobody knows.
    (path, user) => ['POST', `${path}?fast=1`, { Authorization: user.bearer }, 400, 'invalid_request'],
    // Nobody.
    (path) => ['POST', path, {}, 401, 'unauthenticated', 'Www-Authenticate'],
    // Somebody who signs their own tokens.
    (path, user) => ['POST', path, { Authorization: userOf(user.name, "a secret that is not the server's own").bearer }, 401, 'unauthenticated', 'Www-Authenticate'],
    // A user where only operators may go.
    (path, user) => ['GET', path, { Authorization: user.bearer }, 403, 'forbidden'],
    // A campaign that does not exist.
    (_, user) => ['POST', '/v1/campaigns/there-is-no-such-campaign/claims', { Authorization: user.bearer }, 404, 'not_found'],
    // A method that the route does not have.
    (path, user) => ['DELETE', path, { Authorization: user.bearer }, 405, 'method_not_allowed', 'Allow'],
];

/** Sends the bad request of this number, and insists on its refusal. */
export function badInput(settings, campaign, user, no) {
    const kind = KINDS[no % KINDS.length];
    const [method, path, headers, status, code, header] = kind(`/v1/campaigns/${campaign}/claims`, user);
    const answer = ask(settings, method, path, headers);
    const holds = isRefusal(answer, status, code);
    const complete = must(header === undefined || answer.headers[header] !== undefined, () => `no ${header}: ${describe(answer)}`);
    if (holds && complete) {
        said.refused.add(1);
    }
}
