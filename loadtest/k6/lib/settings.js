// What was asked for? Settings from the environment, checked before anything is sent.
//
//   BASE_URL        where the server is; only addresses of this machine: a load generator that can be pointed at others is a weapon
//   HS256_SECRET    what users' tokens are signed with
//   OPERATOR_TOKEN  the token that an operator's requests carry
//   RATE            visits that begin in a second, whatever the server does meanwhile
//   DURATION        how long visits begin: 20, 20s or 2m
//   USERS           how many different users come; fewer than visits, and each comes several times
//   STOCK           units of the campaign
//   VUS             visits that may be under way at a time
//   CAMPAIGN        a campaign that exists already and that nobody has claimed from; otherwise one is made
//   AUDIT_WAIT      how long everything may take to become rows after the last answer
//   SUMMARY_JSON    a file that k6's figures are written to (see summary.js)

const LOOPBACK = /^http:\/\/(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?$/;

/** Each claim of a user counts against `campaign.claims_per_user_factor` (20), given back or not. */
const VISITS_OF_A_USER_MAX = 10;

/**
 * The settings of a run; what is wrong with them ends it.
 *
 * @param {(users: number) => number} stockOf how many units there are unless STOCK says so; where all users get one, one is
 *   left over, since a node may call it sold out to somebody who holds a unit as soon as the last one is gone
 * @param {boolean} givesBack whether users give units back, so that numbers go beyond the stock
 */
export function settings(stockOf, givesBack = false) {
    const rate = whole('RATE', 200, 1, 100000);
    const duration_s = seconds('DURATION', '5s');
    const visits = rate * duration_s;
    const users = whole('USERS', visits, 1, 10000000);
    if (visits > users * VISITS_OF_A_USER_MAX) {
        throw new Error(`${visits} visits of ${users} users: each may come ${VISITS_OF_A_USER_MAX} times`);
    }
    return Object.freeze({
        url: url(),
        secret: required('HS256_SECRET'),
        operator: required('OPERATOR_TOKEN'),
        rate,
        duration_s,
        visits,
        users,
        stock: whole('STOCK', stockOf(users), 1, 100000000),
        // As many as there are visits is enough, whatever happens; more than that would only cost memory.
        vus: whole('VUS', Math.min(visits, 1000), 1, 60000),
        campaign: __ENV.CAMPAIGN || '',
        auditWait_s: seconds('AUDIT_WAIT', '60s'),
        givesBack,
    });
}

function url() {
    const text = required('BASE_URL').replace(/\/$/, '');
    if (!LOOPBACK.test(text)) {
        throw new Error(`BASE_URL: ${text} is not http://<an address of this machine>:<port>`);
    }
    return text;
}

function required(name) {
    const text = __ENV[name];
    if (!text) {
        throw new Error(`${name} is not set; \`make load\` sets it to what \`make run\` left`);
    }
    return text;
}

function whole(name, otherwise, min, max) {
    // An empty variable is one that is not set, as for the server.
    const value = __ENV[name] ? Number(__ENV[name]) : otherwise;
    if (!Number.isInteger(value) || value < min || value > max) {
        throw new Error(`${name}: ${__ENV[name]} is not a whole number from ${min} to ${max}`);
    }
    return value;
}

function seconds(name, otherwise) {
    const parts = /^([1-9]\d{0,3})(s|m|)$/.exec(__ENV[name] || otherwise);
    if (!parts) {
        throw new Error(`${name}: ${__ENV[name]} is not a number of seconds, such as 20s or 2m`);
    }
    return Number(parts[1]) * (parts[2] === 'm' ? 60 : 1);
}
