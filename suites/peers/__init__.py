"""Today's curvature libraries under test: their quantities as subjects, and the ledger of what the kit finds in them."""
