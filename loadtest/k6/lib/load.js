// How do visits begin? At a rate of their own (open model): a slow server does not slow the question.

import http from 'k6/http';

import { ALWAYS } from './records.js';

/** Requests of one visit that may be under way at a time. */
const BATCH_MAX = 20;
/** Visits that were begun are finished: one that is cut off may have been granted a unit that nobody counts. */
const FINISH_MAX = '60s';

// Refusals are answers. Failed is what has no answer, or a server error.
http.setResponseCallback(http.expectedStatuses({ min: 200, max: 499 }));

/**
 * How much longer k6 may begin visits, in s. It begins about as many as a rate and a time make, give or take one, and
 * those that were due while a busy machine let it wait it leaves out at the end. With this time more all are begun, and
 * what is begun beyond them does nothing (see users.js).
 */
function tail_s(settings) {
    return Math.max(1, 3 / settings.rate);
}

/** Everybody at the opening: twice the rate at first, falling to nothing, and as many visits in all as at the rate itself. */
export function rush(settings) {
    return {
        executor: 'ramping-arrival-rate',
        startRate: 2 * settings.rate,
        timeUnit: '1s',
        stages: [
            { target: 0, duration: `${settings.duration_s}s` },
            { target: settings.rate, duration: '0s' },
            { target: settings.rate, duration: `${tail_s(settings)}s` },
        ],
        ...users(settings),
    };
}

/** The same rate from the beginning to the end. */
export function steady(settings) {
    return {
        executor: 'constant-arrival-rate',
        rate: settings.rate,
        timeUnit: '1s',
        duration: `${settings.duration_s + tail_s(settings)}s`,
        ...users(settings),
    };
}

function users(settings) {
    // All of them are there from the beginning: making them in mid-rush takes the time in which they are needed.
    return { preAllocatedVUs: settings.vus, maxVUs: settings.vus, gracefulStop: FINISH_MAX };
}

/** k6's options for a scenario: how visits begin, and what has to hold besides what always has to. */
export function options(scenario, settings, load, thresholds) {
    return {
        scenarios: { [scenario]: load(settings) },
        // The last is no demand: it makes k6 keep these figures without those of before and after.
        thresholds: { ...ALWAYS, ...thresholds, [`http_req_duration{scenario:${scenario}}`]: ['max>=0'] },
        batch: BATCH_MAX,
        batchPerHost: BATCH_MAX,
        setupTimeout: '120s',
        teardownTimeout: `${settings.auditWait_s + 60}s`,
        summaryTrendStats: ['med', 'p(95)', 'p(99)', 'max'],
    };
}
