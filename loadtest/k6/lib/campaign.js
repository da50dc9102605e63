// Before and after: the campaign is made, and in the end the auditor is asked.

import { sleep } from 'k6';

import { close, isWrong, must } from './records.js';
import { audit, createCampaign } from './calls.js';
import { body, describe } from './judge.js';

const AUDIT_EVERY_S = 0.2;
/** How often in turn `broken` is believed to be a matter of what is still on its way. */
const BROKEN_MAX = 5;

/**
 * For k6's setup(). Answers the campaign's id.
 *
 * @param {object} more of the campaign's definition
 */
export function open(settings, scenario, more = {}) {
    if (settings.campaign) {
        const figures = body(audit(settings, settings.campaign));
        if (figures.live !== 0 || figures.given_back !== 0) {
            throw new Error(`CAMPAIGN: ${settings.campaign} is not one that nobody has claimed from`);
        }
        return settings.campaign;
    }
    const id = `k6-${scenario}-${Date.now()}-${Math.floor(Math.random() * 1e6)}`;
    const name = `k6: ${scenario}, ${settings.users} users, ${settings.stock} units`;
    const answer = createCampaign(settings, { id, name, stock: settings.stock, per_user_limit: 1, ...more });
    if (answer.status !== 201) {
        throw new Error(`the campaign was not made: ${describe(answer)}`);
    }
    return id;
}

/** For k6's teardown(). Waits until every claim has become a row, and holds the auditor's counts against the records. */
export function finish(settings, campaign) {
    const figures = settle(settings, campaign);
    if (figures === undefined) {
        return;
    }
    close(figures);
    const { stock, left, live, rows } = figures;
    must(stock === settings.stock, () => `the auditor counts a stock of ${stock}, not ${settings.stock}`);
    must(live <= settings.stock, () => `${live} claims are live, of a stock of ${settings.stock}`);
    must(left + live === stock, () => `${left} left and ${live} live claims are not the stock of ${stock}`);
    must(rows === live, () => `${rows} rows and ${live} live claims`);
    for (const count of ['missing', 'doubled', 'oversold', 'gaps', 'outbox', 'lag']) {
        must(figures[count] === 0, () => `the auditor's verdict is ok, but ${count} is ${figures[count]}`);
    }
    console.log(`audit: ${JSON.stringify(figures)}`);
}

function settle(settings, campaign) {
    const deadline = Date.now() + settings.auditWait_s * 1000;
    let answer;
    for (let broken = 0; broken < BROKEN_MAX && Date.now() < deadline; ) {
        answer = audit(settings, campaign);
        const figures = body(answer);
        if (answer.status === 200 && figures.verdict === 'ok') {
            return figures;
        }
        broken = figures.verdict === 'broken' ? broken + 1 : 0;
        sleep(AUDIT_EVERY_S);
    }
    isWrong(`the audit did not end with ok: ${answer === undefined ? 'no time to ask' : describe(answer)}`);
    return undefined;
}
