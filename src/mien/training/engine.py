"""Tools for training loops: a resumable run, gradient steps that work on any number of processes, records.

Everything random in a step is drawn from `Run.generator()`, which depends on the seed and the step alone. A run that is
killed at any moment and started again therefore repeats the lost steps exactly and ends with the same weights.
"""

from __future__ import annotations

import copy
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from mien.errors import OutputError, TrainingError
from mien.images import grid, to_uint8, write_image

log = logging.getLogger("mien.training")
AnyModule = TypeVar("AnyModule", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Where and how long a recipe runs.

    Attributes:
        out: folder of checkpoints, curves and samples; a run found there is continued.
        steps: total number of steps, counted over all sessions.
        max_minutes: stop and save after this time in this session; None runs to the end.
        seed: fixes initial weights, batches and noise.
        device: "auto", "cpu", "cuda" or "mps".
        devices: number of processes (DDP).
        precision: "32-true", "bf16-mixed", or "auto": bfloat16 where the processor computes in it.
        save_every: steps between checkpoints.
        record_every: steps between lines of metrics.jsonl.
        sample_every: steps between sample pictures.
    """

    out: Path
    steps: int
    max_minutes: float | None = None
    seed: int = 0
    device: str = "auto"
    devices: int = 1
    precision: str = "auto"
    save_every: int = 500
    record_every: int = 20
    sample_every: int = 500


def make_folder(folder: Path) -> None:
    """Make the folder of a run where there is none yet; not before all that it is made from was found.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: no folder of a run can be made there ({error.strerror})") from error


class Run:
    """One training run in a folder.

    Args:
        config: where and how long.
        fabric: devices, processes and precision.
    """

    def __init__(self, config: RunConfig, fabric: Fabric) -> None:
        self.config, self.fabric = config, fabric
        self.step = 0
        self.parts: dict[str, Any] = {}
        self._sums: dict[str, list[float]] = {}
        self._seconds_before = 0.0

    @property
    def checkpoint(self) -> Path:
        """The file a run is continued from."""
        return self.config.out / "state.pt"

    def generator(self, stream: int = 0) -> torch.Generator:
        """Random numbers of this step: the same on every attempt, different for every stream and process."""
        key = (self.config.seed, self.step, stream, self.fabric.global_rank)
        seed = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
        return torch.Generator().manual_seed(int(seed) >> 1)

    def shared_generator(self, stream: int = 0) -> torch.Generator:
        """Random numbers of this step that are the same in every process; see `share` for what to do with them."""
        key = (self.config.seed, self.step, 11, stream)
        seed = np.random.SeedSequence(key).generate_state(1, np.uint64)[0]
        return torch.Generator().manual_seed(int(seed) >> 1)

    @property
    def share(self) -> slice:
        """This process's samples of a batch that all have drawn alike."""
        return slice(self.fabric.global_rank, None, self.fabric.world_size)

    def batch(self, count: int, size: int) -> torch.Tensor:
        """This process's share of the step's `size` indices, drawn without regard to the number of processes."""
        seed = np.random.SeedSequence((self.config.seed, self.step, 7)).generate_state(1, np.uint64)[0]
        drawn = torch.randint(count, (size,), generator=torch.Generator().manual_seed(int(seed) >> 1))
        return drawn[self.fabric.global_rank :: self.fabric.world_size]

    def gather(self, rows: torch.Tensor) -> torch.Tensor:
        """(B, …) rows of every process, one process after the other, without gradients."""
        if self.fabric.world_size == 1:
            return rows.detach()
        return cast(torch.Tensor, self.fabric.all_gather(rows.detach())).flatten(0, 1)

    def track(self, **parts: Any) -> None:
        """Name what belongs to the state, then continue the run found in the folder, if any.

        Raises:
            TrainingError: the checkpoint there belongs to something else.
        """
        self.parts.update(parts)
        if not self.checkpoint.is_file():
            return
        state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        if set(state["parts"]) != set(self.parts):
            raise TrainingError(f"{self.checkpoint}: has {sorted(state['parts'])}, expected {sorted(self.parts)}")
        for name, part in self.parts.items():
            try:
                part.load_state_dict(state["parts"][name])
            except (RuntimeError, ValueError, KeyError) as error:
                raise TrainingError(f"{self.checkpoint}: {name} does not fit this preset; use another --out") from error
        self.step, self._seconds_before = state["step"], state["seconds"]
        self._trim_records()
        log.info("continuing %s at step %d", self.config.out, self.step)

    def steps(self) -> Iterator[int]:
        """Yield step numbers until the total or the time limit; saves on the way, at the end, and when interrupted."""
        make_folder(self.config.out)
        self._started = time.monotonic()
        limit = None if self.config.max_minutes is None else 60 * self.config.max_minutes
        try:
            while self.step < self.config.steps and not self._is_late(limit):
                yield self.step
                self.step += 1
                if self.step % self.config.record_every == 0:
                    self._write_records()
                if self.step % self.config.save_every == 0:
                    self.save()
        finally:
            self.save()

    def _is_late(self, limit: float | None) -> bool:
        """Whether the time is up, by the clock of the first process: all must stop at the same step."""
        if limit is None:
            return False
        is_late = time.monotonic() - self._started >= limit
        return bool(self.fabric.broadcast(is_late)) if self.fabric.world_size > 1 else is_late

    def every(self, interval: int) -> bool:
        """True on steps 0, interval, 2·interval, …"""
        return interval > 0 and self.step % interval == 0

    def descend(self, optimiser: torch.optim.Optimizer, loss: torch.Tensor, *others: torch.optim.Optimizer) -> None:
        """One gradient step of one or several optimisers: backward, mean of gradients over processes, non-finite
        values zeroed, update."""
        for each in (optimiser, *others):
            each.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        for each in (optimiser, *others):
            for parameter in (p for group in each.param_groups for p in group["params"]):
                if parameter.grad is None:
                    continue
                gradient = parameter.grad
                if self.fabric.world_size > 1:
                    gradient = cast(torch.Tensor, self.fabric.all_reduce(gradient, reduce_op="mean"))
                parameter.grad = gradient.nan_to_num_(0.0, 1e5, -1e5)
            each.step()

    def record(self, **values: float | torch.Tensor) -> None:
        """Add scalars of this step; means are written to metrics.jsonl every `record_every` steps."""
        for name, value in values.items():
            number = value.detach() if isinstance(value, torch.Tensor) else value
            self._sums.setdefault(name, []).append(float(number))

    def _write_records(self) -> None:
        if not self._sums or self.fabric.global_rank:
            return
        line = {"step": self.step, "minutes": round(self.seconds / 60, 3)}
        line |= {name: float(np.mean(v)) for name, v in self._sums.items()}
        with open(self.config.out / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        log.info("%s", "  ".join(f"{k} {v:.4g}" for k, v in line.items()))
        self._sums.clear()

    def sample(self, name: str, rows: Iterable[torch.Tensor], columns: int) -> None:
        """Write a grid of pictures, each tensor (N, 3, S, S) in [−1, 1], as samples/NAME_STEP.png."""
        if self.fabric.global_rank:
            return
        folder = self.config.out / "samples"
        folder.mkdir(exist_ok=True)
        write_image(folder / f"{name}_{self.step:07d}.png", grid(to_uint8(torch.cat(list(rows))), columns))

    @property
    def seconds(self) -> float:
        """Training time over all sessions."""
        return self._seconds_before + time.monotonic() - getattr(self, "_started", time.monotonic())

    def save(self) -> None:
        """Write the state; the old file is replaced only when the new one is whole."""
        if self.fabric.global_rank == 0:
            parts = {name: part.state_dict() for name, part in self.parts.items()}
            partial = self.checkpoint.with_suffix(".partial")
            torch.save({"step": self.step, "seconds": self.seconds, "parts": parts}, partial)
            partial.replace(self.checkpoint)
        self.fabric.barrier()

    def _trim_records(self) -> None:
        path = self.config.out / "metrics.jsonl"
        if path.is_file():
            lines = [x for x in path.read_text().splitlines() if json.loads(x)["step"] <= self.step]
            path.write_text("".join(f"{x}\n" for x in lines))


def settled(step: int, steps: int, share: float) -> float:
    """Factor of a learning rate: one, then falling linearly to a tenth over the last `share` of all steps."""
    if not share:
        return 1.0
    done = (step - (1 - share) * steps) / (share * steps)
    return 1 - 0.9 * min(max(done, 0.0), 1.0)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the next steps."""
    for group in optimiser.param_groups:
        group["lr"] = rate


class Ema(nn.Module, Generic[AnyModule]):
    """Exponential moving average of a module's weights with a half-life in images (Karras et al. 2020).

    Args:
        model: the module that trains.
        half_life: images after which an old weight counts half.
        ramp: while n images were seen the half-life is at most ramp · n, so that early weights are forgotten.
    """

    model: AnyModule

    def __init__(self, model: AnyModule, half_life: float, ramp: float = 0.05) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        self.half_life, self.ramp = half_life, ramp

    @torch.no_grad()
    def update(self, model: nn.Module, batch: int, seen: int) -> None:
        """Move towards `model` after a step of `batch` images, `seen` images in."""
        half_life = min(self.half_life, max(self.ramp * seen, 1e-8))
        keep = 0.5 ** (batch / half_life)
        for mine, theirs in zip(self.model.parameters(), model.parameters(), strict=True):
            mine.lerp_(theirs, 1 - keep)
        for mine, theirs in zip(self.model.buffers(), model.buffers(), strict=True):
            mine.copy_(theirs)


def start_fabric(config: RunConfig) -> Fabric:
    """Devices, processes and precision of a run; prints them once through the log.

    Raises:
        TrainingError: the asked-for device is not there.
    """
    precision = choose_precision(config) if config.precision == "auto" else config.precision
    accelerator = {"auto": "auto", "cuda": "gpu"}.get(config.device, config.device)
    try:
        fabric = Fabric(accelerator=accelerator, devices=config.devices, precision=precision)  # type: ignore[arg-type]
    except Exception as error:
        raise TrainingError(f"cannot train on {config.device} x{config.devices}: {error}") from error
    if config.devices > 1:
        fabric.launch()
    log.info("training on %s, %d process(es), %s", fabric.device, fabric.world_size, precision)
    return fabric


def choose_precision(config: RunConfig) -> str:
    """bfloat16 for matrix products where the hardware has it, else single precision."""
    if config.device in ("auto", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    return "bf16-mixed" if "avx512_bf16" in _cpu_flags() else "32-true"


def _cpu_flags() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.is_file() else ""


def seeded(seed: int, build: Callable[[], Any]) -> Any:
    """Build something whose constructor draws from the global generator, reproducibly and without disturbing it."""
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        return build()


def choose_preset(presets: Mapping[str, Any], name: str) -> Any:
    """Look up a preset.

    Raises:
        TrainingError: unknown name; the message lists the known ones.
    """
    if name not in presets:
        raise TrainingError(f"unknown preset {name!r}; known: {', '.join(presets)}")
    return presets[name]
