"""Two campaigns held against each other: faster, slower, same, or not comparable and why."""
