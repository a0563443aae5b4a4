"""Threads that share their code, each with loops of its own."""

from dataclasses import replace

from chip_agreement import checked_run as run
from programs import IN, core, frames, hand_arch, program, segment


def test_T29_threads_of_the_same_code_access_each_its_own_banks() -> None:
    text = f"""
    .thread main tokens=1
        recv channel=0, dst={IN}, words=1
        post core=0, thread=1
        post core=0, thread=2
        send dest={{host}}, channel=0, src={IN}, words=1, thread=0
        end
    .thread one tokens=1
        loop count=3, body=1, bump=1
        send dest={{0}}, channel=1, src=8, words=1, thread=3
        end
    .thread two tokens=1
        end
    .thread sink tokens=6
        loop count=6, body=1, bump=0
        recv channel=1, dst=40, words=1
        end
    """
    arch = hand_arch()
    image = core(text, segments=(segment(8, range(12)),))
    one = image.threads[1]
    threads = tuple(replace(t, entry=one.entry) if t.name == "two" else t for t in image.threads)
    whole = program(replace(image, threads=threads), arch=arch)
    result = run(whole, arch, frames(), (0,))
    # sends of words 8, 9 and 10 twice, in banks 0, 1 and 2; six recvs to word 40, in bank 0; the
    # frame comes to and leaves word 63, in bank 3
    busy = [result.stalls[f"core0.data_memory.bank{bank}"]["busy"] for bank in range(4)]
    assert busy == [2 + 6, 2, 2, 2]
