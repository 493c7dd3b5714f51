"""Run the three servers until Ctrl-C, and say how to use them: ``python -m demo``, or make demo-apis."""

import sys
import time

from augen.core.run import no_arguments
from demo.base import Server, Settings
from demo.batches import BatchServer, Fates
from demo.chat import MODELS, OPENAI_KEY, QIANFAN_TOKEN, QianfanServer
from demo.tencent import SECRET_ID, SECRET_KEY, TencentServer

PORTS = {"tencent": 18601, "qianfan": 18602, "openai": 18603}


def opened() -> list[Server]:
    return [
        TencentServer(Settings(latency_s=0.3, requests_per_second=5), PORTS["tencent"]),
        QianfanServer(Settings(latency_s=0.3, requests_per_minute=300), PORTS["qianfan"], wrong=0.2, mute=0.05),
        BatchServer(
            Settings(latency_s=0.3), PORTS["openai"], fates=Fates(validating_s=5, running_s=30), wrong=0.2, mute=0.05
        ),
    ]


def main() -> None:
    try:
        servers = opened()
    except OSError as error:
        sys.exit(
            f"a port of {', '.join(map(str, PORTS.values()))} is in use ({error.strerror}): end what listens there"
        )
    for server in servers:
        server.start()
    print(
        f"""Stand-ins for the paid APIs run on 127.0.0.1 until Ctrl-C. In another terminal:

export TENCENTCLOUD_SECRET_ID={SECRET_ID} TENCENTCLOUD_SECRET_KEY={SECRET_KEY}
export QIANFAN_BEARER_TOKEN={QIANFAN_TOKEN}
export OPENAI_API_KEY={OPENAI_KEY}

dvc exp run translate -S translate.backend=tencent -S providers.tencent.base_url=http://127.0.0.1:{PORTS["tencent"]}
dvc exp run reason_true -S reason_true.backend=qianfan -S reason_true.hinted=true \\
    -S 'reason_true.models=[{",".join(MODELS)}]' -S providers.qianfan.base_url=http://127.0.0.1:{PORTS["qianfan"]}
dvc exp run reason_true -S reason_true.backend=openai -S reason_true.hinted=true \\
    -S 'reason_true.models=[{MODELS[0]}]' -S providers.openai.base_url=http://127.0.0.1:{PORTS["openai"]}/v1

The last one takes batches too, which end after half a minute: add -S providers.openai.batch=true \\
    -S providers.openai.batch_poll_s=2
""",
        flush=True,
    )
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        for server in servers:
            server.stop()


if __name__ == "__main__":
    no_arguments(main)
    main()
