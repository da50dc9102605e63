-- Redemptions that were undone, attempts that were cancelled, dead letters that were discarded.

-- The fact that said last whether the coupon was used: redemptions are undone and made again, and facts come in any order.
-- Null: none has said so since this migration, and what `redeemed_at` says is older than all that will.
ALTER TABLE claims ADD COLUMN redemption_generation integer;
ALTER TABLE claims ADD COLUMN redemption_fact_no bigint;

-- Why an operator has decided so: of the kind 'unredeemed'. Facts of the kind 'cancelled' have a user and an attempt, and no
-- number: that attempt has claimed nothing and never will.
ALTER TABLE stock_history ADD COLUMN reason text;
CREATE INDEX stock_history_cancelled ON stock_history (campaign_id) WHERE kind = 'cancelled';

-- State 'discarded': an operator has said why nothing is to be done about it. It stays here, and alarms no more.
ALTER TABLE dead_letters ADD COLUMN discarded_at timestamptz;
ALTER TABLE dead_letters ADD COLUMN discard_reason text;
