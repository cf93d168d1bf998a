import pytest
import torch

from lrbench.attacks import in_batches
from lrbench.attacks.batches import out_of_memory


@pytest.mark.usefixtures("uncollected")
def test_slices_cover_everything_once_whatever_fits():
    for limit in range(1, 12):

        def work(rows, limit=limit):
            if rows.stop - rows.start > limit:
                raise torch.OutOfMemoryError
            return list(range(rows.start, rows.stop))

        counts = []
        parts = in_batches(work, 23, 10, counts.append)
        assert [row for part in parts for row in part] == list(range(23))
        assert counts[-1] == 23
        assert len(parts[-2]) <= limit


def test_what_does_not_fit_alone_and_other_errors_are_passed_on():
    def never(_rows):
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        in_batches(never, 4, 4)

    def broken(_rows):
        raise RuntimeError("another thing")

    with pytest.raises(RuntimeError, match="another"):
        in_batches(broken, 4, 4)


def test_the_cpu_s_words_are_known():
    assert out_of_memory(RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"))
    assert not out_of_memory(RuntimeError("shapes cannot be multiplied"))
    assert in_batches(lambda rows: rows, 0, 5) == [slice(0, 0)]
