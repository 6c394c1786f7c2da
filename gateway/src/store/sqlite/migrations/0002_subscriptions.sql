-- What the CRM wants: one row for each subscription.
CREATE TABLE subscriptions (
    number      TEXT PRIMARY KEY,
    state       TEXT NOT NULL,           -- as in the JSON
    kind        TEXT,
    created     INTEGER NOT NULL,
    next_change INTEGER,                 -- when it changes by itself
    desired     TEXT NOT NULL            -- JSON; holds secrets
) STRICT, WITHOUT ROWID;

CREATE INDEX subscriptions_due ON subscriptions (next_change) WHERE next_change IS NOT NULL;

-- What each platform is believed to hold of it.
CREATE TABLE holdings (
    subscription TEXT NOT NULL,          -- subscriptions.number
    provider     TEXT NOT NULL,
    revision     INTEGER NOT NULL,       -- grows with every change of the row's belief
    out_of_sync  TEXT,                   -- the reason, as in the JSON; absent: in step
    unplanned    INTEGER NOT NULL,       -- 1: requests are still to be made
    authorised   TEXT NOT NULL,          -- JSON; holds secrets
    PRIMARY KEY (subscription, provider)
) STRICT, WITHOUT ROWID;

-- Both are rare: in step and planned is the rule.
CREATE INDEX holdings_out_of_sync ON holdings (subscription, provider, out_of_sync) WHERE out_of_sync IS NOT NULL;
CREATE INDEX holdings_unplanned ON holdings (subscription) WHERE unplanned = 1;
