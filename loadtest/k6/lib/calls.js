// How is the server asked? One function a route; `name` groups the requests of a route in k6's figures.

import http from 'k6/http';

const TIMEOUT = '30s';

/** A claim as k6's batch takes it. */
export function claimRequest(settings, campaign, user, key) {
    const headers = { Authorization: user.bearer };
    if (key !== undefined) {
        headers['Idempotency-Key'] = key;
    }
    const url = `${settings.url}/v1/campaigns/${campaign}/claims`;
    return { method: 'POST', url, body: null, params: params('claim', headers) };
}

/** Submit a claim. */
export function claim(settings, campaign, user, key) {
    const { url, params } = claimRequest(settings, campaign, user, key);
    return http.post(url, null, params);
}

/** Submit a claim of a campaign with a waiting room. */
export function claimWithPass(settings, campaign, user, pass) {
    const { url, params } = claimRequest(settings, campaign, user);
    params.headers['Onrush-Pass'] = pass;
    return http.post(url, null, params);
}

/** Ask for a place. */
export function join(settings, campaign, user) {
    return http.post(waitingRoom(settings, campaign), null, as(user, 'join'));
}

/** Ask for the status. */
export function statusOf(settings, campaign, user, ticket) {
    const headers = { Authorization: user.bearer, 'Onrush-Ticket': ticket };
    return http.get(waitingRoom(settings, campaign), params('status', headers));
}

export function leave(settings, campaign, user) {
    return http.del(waitingRoom(settings, campaign), null, as(user, 'leave'));
}

/** A waiting room as operators see it. */
export function room(settings, campaign) {
    const headers = { Authorization: `Bearer ${settings.operator}` };
    return http.get(`${settings.url}/v1/ops/waiting/${campaign}`, params('room', headers));
}

function waitingRoom(settings, campaign) {
    return `${settings.url}/v1/campaigns/${campaign}/waiting`;
}

export function giveBack(settings, user, claimId) {
    return http.post(`${settings.url}/v1/claims/${claimId}/give-back`, null, as(user, 'give back'));
}

export function readClaim(settings, user, claimId) {
    return http.get(`${settings.url}/v1/claims/${claimId}`, as(user, 'read a claim'));
}

export function readMine(settings, user, campaign) {
    return http.get(`${settings.url}/v1/campaigns/${campaign}/claims/mine`, as(user, 'read mine'));
}

/** The public view; with an ETag, only if it has changed since. */
export function view(settings, campaign, etag) {
    const headers = etag === undefined ? {} : { 'If-None-Match': etag };
    return http.get(`${settings.url}/v1/campaigns/${campaign}`, params('view', headers));
}

export function createCampaign(settings, definition) {
    const headers = { Authorization: `Bearer ${settings.operator}`, 'Content-Type': 'application/json' };
    return http.post(`${settings.url}/v1/campaigns`, JSON.stringify(definition), params('create', headers));
}

export function audit(settings, campaign) {
    const headers = { Authorization: `Bearer ${settings.operator}` };
    return http.get(`${settings.url}/v1/ops/audit/${campaign}`, params('audit', headers));
}

/** Publish a post. */
export function post(settings, user, content) {
    return http.post(`${settings.url}/v1/posts`, JSON.stringify(content), json(user, 'post'));
}

export function changePost(settings, user, id, change) {
    return http.patch(`${settings.url}/v1/posts/${id}`, JSON.stringify(change), json(user, 'change a post'));
}

export function deletePost(settings, user, id) {
    return http.del(`${settings.url}/v1/posts/${id}`, null, as(user, 'delete a post'));
}

/** A post as anybody may read it. */
export function readPost(settings, id) {
    return http.get(`${settings.url}/v1/posts/${id}`, params('read a post', {}));
}

export function subscribe(settings, user, author) {
    return http.put(`${settings.url}/v1/subscriptions/${author}`, null, as(user, 'subscribe'));
}

/** The feed or the front page; with an ETag, only if it has changed since. */
export function readOwn(settings, user, path, etag) {
    const headers = { Authorization: user.bearer, ...(etag === undefined ? {} : { 'If-None-Match': etag }) };
    return http.get(`${settings.url}/v1/${path}`, params(path.split('?')[0], headers));
}

export function search(settings, question) {
    const url = `${settings.url}/v1/search?limit=100&q=${encodeURIComponent(question)}`;
    return http.get(url, params('search', {}));
}

/** Any other request. */
export function ask(settings, method, path, headers) {
    return http.request(method, `${settings.url}${path}`, null, params('bad input', headers));
}

function as(user, name) {
    return params(name, { Authorization: user.bearer });
}

function json(user, name) {
    return params(name, { Authorization: user.bearer, 'Content-Type': 'application/json' });
}

function params(name, headers) {
    return { headers, timeout: TIMEOUT, redirects: 0, tags: { name } };
}
