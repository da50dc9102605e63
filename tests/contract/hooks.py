"""What the API's document cannot say in JSON Schema, said to schemathesis. Each rule here is one that the server has."""

import base64

import schemathesis
from hypothesis import strategies as st


def cursor(text):
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


# Where a page ends. A client sends what it was given; these have that form.
schemathesis.openapi.format("cursor", st.integers(1, 10**18 - 1).map(lambda number: cursor(str(number))))
schemathesis.openapi.format(
    "search-cursor",
    st.tuples(st.integers(1, 10**18 - 1), st.integers(1, 10**18 - 1)).map(
        lambda posts: cursor(f"3f800000.{posts[0]:019}.{posts[1]:019}")
    ),
)

# A user's id has at most 128 bytes; JSON Schema counts characters.
schemathesis.openapi.format(
    "user-id",
    st.one_of(
        st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.@", min_size=3, max_size=128),
        st.text("김민지선착순쿠폰", min_size=1, max_size=42),
    ),
)


@schemathesis.hook
def before_call(context, case, kwargs):
    """A campaign closes after it opens, and CAUTION is no more than CRITICAL; JSON Schema cannot compare two members."""
    body = case.body
    if not isinstance(body, dict):
        return
    rules = body.get("rules")
    for rule in rules.values() if isinstance(rules, dict) else ():
        if isinstance(rule, dict) and all(type(rule.get(name)) in (int, float) for name in ("caution", "critical")):
            if rule["caution"] > rule["critical"] > 0:
                rule["caution"], rule["critical"] = rule["critical"], rule["caution"]
    opens_at, closes_at = body.get("opens_at"), body.get("closes_at")
    if isinstance(opens_at, str) and isinstance(closes_at, str):
        case.body = {**body, "opens_at": "2026-12-01T01:00:00Z"}
        if closes_at <= "2026-12-02":
            case.body["closes_at"] = "2026-12-02T01:00:00Z"
