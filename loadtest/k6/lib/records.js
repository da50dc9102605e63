// What happened, in numbers that have to come out?
//
// Virtual users share nothing but counters. So whatever must hold between them is a counter that has to end at zero: each
// adds what it saw, and the end subtracts what the auditor says. Thresholds on it are exact, and a run that misses one
// ends with a status other than 0.

import { Counter } from 'k6/metrics';

/** Answers by what they meant. */
export const said = {
    granted: new Counter('granted'),
    replayed: new Counter('replayed'),
    sold_out: new Counter('sold_out'),
    limit_reached: new Counter('limit_reached'),
    given_back: new Counter('given_back'),
    read: new Counter('read'),
    refused: new Counter('refused'),
    admitted: new Counter('admitted'),
    left: new Counter('left'),
    posted: new Counter('posted'),
    delivered: new Counter('delivered'),
    found: new Counter('found'),
    unchanged: new Counter('unchanged'),
};

/** Answers and figures that are not as they must be. */
const wrong = new Counter('wrong');
/** Visits that were made. */
const came = new Counter('came');
/** Users who came at least once, less claims that were granted. */
const unserved = new Counter('unserved');
/** Claims that were granted and not given back, less those that the auditor calls live. */
const adrift = new Counter('adrift');
/** Give-backs that were confirmed, less those that the auditor counts. */
const returnsAdrift = new Counter('returns_adrift');
/** The sum of the numbers granted, and of their squares, less those of 1, 2, 3 and so on to as many as there are. */
const numbersAdrift = new Counter('numbers_adrift');
const squaresAdrift = new Counter('squares_adrift');
/** Visitors of a waiting room, less those that it counts; the sum of their places and of the squares of these, likewise. */
const visitorsAdrift = new Counter('visitors_adrift');
const placesAdrift = new Counter('places_adrift');
const placesSquaredAdrift = new Counter('places_squared_adrift');
/** Audits that ended with `ok`. A run without its audit is a run that failed. */
const audited = new Counter('audited');

/** What holds for every run. */
export const ALWAYS = {
    wrong: ['count==0'],
    adrift: ['count==0'],
    returns_adrift: ['count==0'],
    numbers_adrift: ['count==0'],
    squares_adrift: ['count==0'],
    audited: ['count==1'],
    // No answer at all, or a server error: see `responseCallback` in load.js.
    http_req_failed: ['rate==0'],
};

/** What holds where there is a waiting room: each place from the first to the last is one visitor's. */
export const QUEUES = {
    visitors_adrift: ['count==0'],
    places_adrift: ['count==0'],
    places_squared_adrift: ['count==0'],
};

/** What holds where everybody asks and nobody gives back: exactly as many claims as there are units, or users if these are fewer. */
export function grants(settings) {
    return settings.stock < settings.users
        ? { granted: [`count==${settings.stock}`] }
        : { granted: ['count>0'], unserved: ['count==0'] };
}

/** Something is not as it must be. The first few of each virtual user are written out. */
const SHOWN_MAX = 3;
let shown = 0;
export function isWrong(text) {
    wrong.add(1);
    if (shown < SHOWN_MAX) {
        shown += 1;
        console.error(text);
    }
}

/** Fails the run unless it holds. */
export function must(holds, text) {
    if (!holds) {
        isWrong(text());
    }
    return holds;
}

/** A user comes, perhaps not for the first time. */
export function comes(isFirst) {
    came.add(1);
    if (isFirst) {
        unserved.add(1);
    }
}

/** A claim was granted, for the first time. */
export function grant(claim) {
    said.granted.add(1);
    unserved.add(-1);
    adrift.add(1);
    numbersAdrift.add(claim.number);
    squaresAdrift.add(claim.number * claim.number);
}

/** A give-back was confirmed, for the first time. */
export function giveBack() {
    said.given_back.add(1);
    adrift.add(-1);
    returnsAdrift.add(1);
}

/** A visitor was given this place. */
export function queued(place) {
    visitorsAdrift.add(1);
    placesAdrift.add(place);
    placesSquaredAdrift.add(place * place);
}

/** Nobody comes any more: so many were given a place. */
export function closeQueue(count) {
    visitorsAdrift.add(-count);
    placesAdrift.add(-(count * (count + 1)) / 2);
    placesSquaredAdrift.add(-(count * (count + 1) * (2 * count + 1)) / 6);
}

/** The auditor is content with these figures: they are held against what was said to users. */
export function close(figures) {
    audited.add(1);
    adrift.add(-figures.live);
    returnsAdrift.add(-figures.given_back);
    // Numbers are never used again, so there are as many as were ever granted.
    const all = figures.live + figures.given_back;
    numbersAdrift.add(-(all * (all + 1)) / 2);
    squaresAdrift.add(-(all * (all + 1) * (2 * all + 1)) / 6);
}
