// feed: what there is to read. Each visit is an author of its own, with two who follow them: one before anything is
// published, one after. Both wait until they have what passed, each post once; what is deleted is gone from everywhere.

import { sleep } from 'k6';

import { changePost, deletePost, post, readOwn, readPost, search, subscribe } from './lib/calls.js';
import { isWrong, must, said } from './lib/records.js';
import { finish, open } from './lib/campaign.js';
import { body, describe, isRefusal } from './lib/judge.js';
import { options as optionsOf, steady } from './lib/load.js';
import { settings as read } from './lib/settings.js';
import { summary } from './lib/summary.js';
import { user as userOf, visits } from './lib/users.js';

const NAME = 'feed';
/** Inspection is tried again every few seconds where the user-info API fails. */
const LOOK_EVERY_S = 0.5;
const PAGES_MAX = 20;
const settings = read((users) => users + 1);
const looks_max = settings.auditWait_s / LOOK_EVERY_S;

export const options = optionsOf(NAME, settings, steady, {
    posted: ['count>0'],
    delivered: ['count>0'],
    found: ['count>0'],
    unchanged: ['count>0'],
});
export const setup = () => open(settings, NAME);
export const teardown = (campaign) => finish(settings, campaign);
export const handleSummary = (data) => summary(NAME, settings, data);

export default visits(settings, (campaign, user) => {
    // Runs do not read each other's posts.
    const author = userOf(`author-${campaign}-${user.visit}`, settings.secret);
    const later = userOf(`later-${campaign}-${user.visit}`, settings.secret);
    follow(user, author);
    const kept = publish(author, `${author.name} one`);
    const gone = publish(author, `${author.name} two`);
    if (kept === undefined || gone === undefined) {
        return;
    }
    follow(later, author);
    lookAround(user);
    const title = `${author.name} one, changed`;
    const changed = changePost(settings, author, kept, { title });
    must(changed.status === 200 && body(changed).title === title, () => `not changed: ${describe(changed)}`);

    wait(() => isSame(ofAuthor(user, author), { [kept]: title, [gone]: `${author.name} two` }), () => `${user.name} does not have all of ${author.name}`);
    const deleted = deletePost(settings, author, gone);
    must(deleted.status === 204, () => `not deleted: ${describe(deleted)}`);
    isRefusal(readPost(settings, gone), 404, 'not_found');
    for (const reader of [user, later]) {
        if (wait(() => isSame(ofAuthor(reader, author), { [kept]: title }), () => `${reader.name} does not have what is left of ${author.name}`)) {
            said.delivered.add(1);
        }
    }
    const passed = readPost(settings, kept);
    must(passed.status === 200 && body(passed).inspection === 'passed', () => `not to be read: ${describe(passed)}`);
    const finds = () => (body(search(settings, `"${author.name}"`)).items || []).filter((item) => item.author_id === author.name);
    if (wait(() => finds().map((item) => item.post_id).join() === kept, () => `search does not find what is left of ${author.name}`)) {
        said.found.add(1);
    }
});

function follow(user, author) {
    const answer = subscribe(settings, user, author.name);
    must(answer.status === 204, () => `not subscribed: ${describe(answer)}`);
}

/** The id of a new post; undefined if it was not published. */
function publish(author, title) {
    const answer = post(settings, author, { title, body: '#선착순 할인쿠폰을 드립니다' });
    const { post_id, author_id, inspection } = body(answer);
    const holds = must(
        answer.status === 201 && author_id === author.name && inspection === 'pending' && answer.headers['Location'].endsWith(`/v1/posts/${post_id}`),
        () => `not posted: ${describe(answer)}`,
    );
    if (!holds) {
        return undefined;
    }
    said.posted.add(1);
    return post_id;
}

/** The front page and the feed; what has not changed since is not sent again. */
function lookAround(user) {
    for (const path of ['view', 'feed']) {
        const first = readOwn(settings, user, path);
        const etag = first.headers['Etag'];
        must(first.status === 200 && etag !== undefined, () => `no tag: ${describe(first)}`);
        must(path !== 'view' || body(first).failed.length === 0, () => `a part failed: ${describe(first)}`);
        const again = readOwn(settings, user, path, etag);
        must(again.status === 304 || (again.status === 200 && again.headers['Etag'] !== etag), () => `neither 304 nor something new: ${describe(again)}`);
        if (again.status === 304) {
            said.unchanged.add(1);
        }
    }
}

/** An author's posts in somebody's feed: titles by id. A post that is there twice is wrong. */
function ofAuthor(user, author) {
    const found = {};
    let after = '';
    for (let page = 0; page < PAGES_MAX && after !== undefined; page += 1) {
        const answer = readOwn(settings, user, `feed?limit=100${after}`);
        const { items, next } = body(answer);
        if (!must(answer.status === 200 && Array.isArray(items), () => `no feed: ${describe(answer)}`)) {
            return found;
        }
        for (const item of items.filter(({ author_id }) => author_id === author.name)) {
            must(found[item.post_id] === undefined, () => `${item.post_id} is twice in the feed of ${user.name}`);
            found[item.post_id] = item.title;
        }
        after = next ? `&after=${next}` : undefined;
    }
    return found;
}

function isSame(found, expected) {
    const ids = Object.keys(expected);
    return Object.keys(found).length === ids.length && ids.every((id) => found[id] === expected[id]);
}

/** Looks again and again until it is so. */
function wait(isSo, text) {
    for (let looks = 0; looks < looks_max; looks += 1) {
        if (isSo()) {
            return true;
        }
        sleep(LOOK_EVERY_S);
    }
    isWrong(`${text()} after ${settings.auditWait_s} s`);
    return false;
}
