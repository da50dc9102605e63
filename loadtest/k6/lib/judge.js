// Is this answer what the contract says? Every answer is looked at; what is not as it must be fails the run.

import { grant, isWrong, must, said } from './records.js';

const COUPON = /^([0-9A-HJKMNP-TV-Z]{4}-){4}[0-9A-HJKMNP-TV-Z]{4}$/;

/** The body, or an empty one. */
export function body(response) {
    try {
        return response.json() || {};
    } catch (_) {
        return {};
    }
}

/** An answer for people. */
export function describe(response) {
    const text = response.status === 0 ? `no answer: ${response.error}` : `${response.status} ${response.body}`;
    return `${response.request.method} ${response.request.url}: ${text}`;
}

/** Whether this is the refusal that was to be expected: status, code and form. */
export function isRefusal(response, status, code) {
    const problem = body(response);
    return must(
        response.status === status &&
            response.headers['Content-Type'] === 'application/problem+json' &&
            problem.code === code &&
            problem.status === status &&
            problem.type === `/problems/${code}` &&
            problem.request_id === response.headers['X-Request-Id'],
        () => `not the refusal ${status} ${code}: ${describe(response)}`,
    );
}

/** Whether this is the claim of this user, in this state. */
export function isClaim(claim, user, campaign, settings, state) {
    return (
        claim.user_id === user.name &&
        claim.campaign_id === campaign &&
        Number.isInteger(claim.number) &&
        claim.number > 0 &&
        (settings.givesBack || claim.number <= settings.stock) &&
        claim.claim_id.startsWith(`${campaign}.`) &&
        claim.claim_id.endsWith(`.${claim.number}`) &&
        COUPON.test(claim.coupon_code) &&
        claim.state === state &&
        claim.durability === 'memory'
    );
}

/** What a user may hear who asks for a unit, with a new key or without one. */
export function mayHear(settings) {
    const meanings = ['granted'];
    if (settings.stock < settings.users) {
        meanings.push('sold_out');
    }
    if (settings.users < settings.visits) {
        meanings.push('limit_reached');
    }
    return meanings;
}

/**
 * What an answer to a claim meant: granted, replayed, sold_out, limit_reached, or wrong; and which claim it named.
 *
 * @param {string[]} allowed what it may mean here
 */
export function claimed(response, user, campaign, settings, key, allowed) {
    const { meaning, claim } = meant(response, user, campaign, settings, key);
    if (meaning === 'granted') {
        grant(claim);
    } else if (meaning !== 'wrong') {
        said[meaning].add(1);
    }
    if (meaning !== 'wrong' && !allowed.includes(meaning)) {
        isWrong(`${user.name} was not to hear ${meaning}: ${describe(response)}`);
    }
    return { meaning, claim };
}

function meant(response, user, campaign, settings, key) {
    const answer = body(response);
    if (response.status === 201) {
        const replayed = response.headers['Idempotency-Replayed'] === 'true';
        const holds = must(
            isClaim(answer, user, campaign, settings, 'live') &&
                response.headers['Location'] === `/v1/claims/${answer.claim_id}` &&
                (key !== undefined || !replayed),
            () => `not a claim of ${user.name}: ${describe(response)}`,
        );
        return holds ? { meaning: replayed ? 'replayed' : 'granted', claim: answer } : { meaning: 'wrong' };
    }
    const refusal = ['sold_out', 'limit_reached'].find((code) => answer.code === code);
    if (refusal === undefined) {
        isWrong(`neither a claim nor a refusal that was to be expected: ${describe(response)}`);
        return { meaning: 'wrong' };
    }
    if (!isRefusal(response, 409, refusal)) {
        return { meaning: 'wrong' };
    }
    if (refusal === 'sold_out') {
        return { meaning: refusal };
    }
    // The limit is 1 here: whoever has reached it holds one, and is told which.
    const held = Array.isArray(answer.claims) ? answer.claims : [];
    const holds = must(
        held.length === 1 && isClaim(held[0], user, campaign, settings, 'live'),
        () => `limit_reached without the one claim that ${user.name} holds: ${describe(response)}`,
    );
    return holds ? { meaning: refusal, claim: held[0] } : { meaning: 'wrong' };
}
