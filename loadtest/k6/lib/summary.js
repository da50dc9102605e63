// How did it go? A few lines, with every demand that was missed; as JSON too, where SUMMARY_JSON names a file.

/** More visits than this share left out, and it was the client that was measured. */
const LEFT_OUT_SHARE_MAX = 0.01;

const LATENCIES = ['med', 'p(95)', 'p(99)', 'max'];
const SHOWN = [
    ...['granted', 'replayed', 'sold_out', 'limit_reached', 'given_back', 'read', 'refused', 'admitted', 'left'],
    ...['posted', 'delivered', 'found', 'unchanged'],
];

/** For k6's handleSummary(). */
export function summary(scenario, settings, data) {
    const count = (name) => (data.metrics[name] === undefined ? 0 : data.metrics[name].values.count);
    const came = count('came');
    const lines = [
        `${scenario}: ${settings.users} users, ${settings.stock} units, ${settings.rate} visits/s for ${settings.duration_s} s`,
        `  answers   ${SHOWN.map((name) => `${name} ${count(name)}`).join(', ')}`,
        `  visits    ${came} of ${settings.visits} made, ${count('dropped_iterations')} dropped (dropped_iterations)`,
        `  in ms     ${latencies(data.metrics[`http_req_duration{scenario:${scenario}}`])}`,
    ];
    const leftOut = settings.visits - came;
    if (came > 0 && leftOut > LEFT_OUT_SHARE_MAX * settings.visits) {
        lines.push(`  THE CLIENT WAS THE LIMIT: ${leftOut} visits were not made; VUS (${settings.vus}) may be more`);
    }
    const missed = failures(data.metrics);
    lines.push(...missed.map((text) => `  FAILED    ${text}`), missed.length === 0 ? '  all is well' : '  NOT WELL');
    const files = { stdout: `\n${lines.join('\n')}\n` };
    if (__ENV.SUMMARY_JSON) {
        files[__ENV.SUMMARY_JSON] = JSON.stringify(data, null, 2);
    }
    return files;
}

function latencies(metric) {
    if (metric === undefined) {
        return 'nothing was asked';
    }
    return LATENCIES.map((name) => `${name} ${metric.values[name].toFixed(2)}`).join(', ');
}

function failures(metrics) {
    const missed = [];
    for (const [name, metric] of Object.entries(metrics)) {
        for (const [demand, { ok }] of Object.entries(metric.thresholds || {})) {
            if (!ok) {
                missed.push(`${name} ${demand}: ${JSON.stringify(metric.values)}`);
            }
        }
    }
    return missed;
}
