"""Paid calls: nothing lost, nothing paid twice, at the provider's own limit.

``runner``    sends what the store does not hold: bounded, limited, retried; stops cleanly
``limits``    how much may be sent in any second or minute, and the one pause for all
``sent``      what all processes that share a store sent of late, which these limits count
``batches``   sends the same calls as files, at providers that answer these within a day
``batch_records``, ``batch_files``   what the store knows of those that are running; the provider's side of them
``claims``    which process asks for what, so that two of them never pay for the same answer
``account``   requests, answers, retries, characters, tokens and cost, for reports/usage.json
``failures``  what ended without a usable answer, for reports/failed.jsonl
``errors``    what a provider can say instead of an answer
``secrets``   keys come from the environment and appear nowhere else
``opening``   a runner with store and account, as stages use it
``threads``   for SDKs that block: nothing waits for them
``sampler``   a `Sampler` whose completions are written by chat models
``chat``      what the two chat providers share: what is kept of an answer, wherever its text stands
``replies``   the table of what they reply instead of an answer, and what is done
``network``   faults of proxies and addresses, named before anything is sent
``bounded``   how large a reply may be; ``httpx_bound`` and ``requests_bound`` for the SDKs' two HTTP clients
``openai``, ``qianfan``, ``tencent``   the providers, each through its own SDK
"""
