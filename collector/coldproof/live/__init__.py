"""The live view of a campaign: what each node does now, streamed beside the playbook.

It is information only. The playbook is right without it, and the nodes' own files are the truth.
"""
