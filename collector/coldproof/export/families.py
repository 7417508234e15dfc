"""The metrics of a campaign: their names and what they mean. Base units, and all gauges."""

from __future__ import annotations

from coldproof.export.exposition import Family


def _spread(name: str, unit: str, what: str) -> tuple[Family, ...]:
    return (
        Family(f"{name}_median_{unit}", f"Median of {what}"),
        Family(f"{name}_min_{unit}", f"Least of {what}"),
        Family(f"{name}_max_{unit}", f"Greatest of {what}"),
    )


PAIRED = "over pairs of a cold and a warm start, from three pairs on"
FAMILIES = (
    Family("coldproof_campaign_info", "What the campaign was to measure; always 1"),
    Family("coldproof_campaign_start_timestamp_seconds", "When the campaign was opened, Unix time"),
    Family("coldproof_node_status", "1 for the status that the node has, 0 for the others"),
    Family("coldproof_node_info", "The node's hardware by its own records; always 1"),
    Family("coldproof_findings", "Findings on the node that the report explains"),
    Family("coldproof_left_out", "Records, rows and files of the node that could not be used"),
    Family("coldproof_starts", "Starts by what became of them; unproven and refuted have no time"),
    Family(
        "coldproof_first_start_seconds", "The first start ever, one start, neither cold nor warm"
    ),
    Family("coldproof_row_info", "What the starts of the row have in common; always 1"),
    Family("coldproof_rows_left_out", "Rows of the node that are not here, for it has too many"),
    Family("coldproof_start_proven", "How many proven starts the row's times are of"),
    *_spread("coldproof_start", "seconds", "the proven starts, from process start to ready"),
    Family("coldproof_phase_proven", "How many proven starts had the phase"),
    *_spread("coldproof_phase", "seconds", "the phase in proven starts"),
    Family("coldproof_pairs", "Pairs of a cold and a warm start that may be compared"),
    *_spread("coldproof_cold_to_warm", "ratio", f"cold by warm {PAIRED}"),
    *_spread("coldproof_cache_effect", "seconds", f"cold minus warm {PAIRED}"),
    *_spread("coldproof_storage_share", "ratio", f"storage's share of the cold start {PAIRED}"),
    Family("coldproof_weights_bytes", "Size of the weights on their device"),
    Family("coldproof_ceiling_bytes_per_second", "What the tier's storage delivered at best"),
    Family("coldproof_ceiling_used_ratio", "Share of the ceiling that cold starts used, median"),
    Family(
        "coldproof_outlier_difference_seconds",
        "How far an outlier's median is off the others', positive if slower, +Inf if starts fail",
    ),
)
