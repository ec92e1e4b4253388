"""Cases: what a patient is, and the files it comes from."""
