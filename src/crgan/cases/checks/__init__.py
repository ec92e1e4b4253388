"""What can be wrong with a data set: one function a kind of fault, in the file of what it looks at."""
