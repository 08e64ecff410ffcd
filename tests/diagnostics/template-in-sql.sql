-- ${unique} is nothing here
CREATE TABLE ${unique} (n bigint);
