-- TEST orders are few: those of one status are found at once however many there are of others.
CREATE INDEX orders_test_status ON orders (merchant_id, status, id) WHERE test = 1;
