"""Engine profiles: data (JSON) of how an engine is started, when it is ready, where its files are."""
