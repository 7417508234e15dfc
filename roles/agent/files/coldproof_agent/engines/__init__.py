"""Engine profiles as data: how one is started, when it is ready, where its files are."""
