"""Sample compression: which examples a fixed learner needs. A receiver who has the data runs this very code again."""
