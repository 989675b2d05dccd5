"""nnU-Net v2 on a processor, for a budget of CPU time. It runs in an environment of its own, and imports nothing here.

``benchmarks/nnunet.py`` calls it: ``python nnunet_peer.py FOLDER --cpu-seconds N [--memory-gb G]``. FOLDER/raw contains
the data set as nnU-Net reads it, with the images of the held-out cases in ``imagesTs``; their masks are written to
FOLDER/predictions, and the facts of the training to FOLDER/training.json. An interrupted training goes on from its last
checkpoint.
"""

import argparse
import json
import os
import time
from pathlib import Path

DATASET = "Dataset001_Phantoms"
PLANS, CONFIGURATION = "nnUNetPlans", "3d_fullres"
CHECKPOINT_EVERY = 60.0  # CPU-seconds.


def plan(folder: Path, memory_gb: float) -> None:
    """Fingerprint, plans and preprocessed cases, unless they exist."""
    from nnunetv2.experiment_planning import plan_and_preprocess_api as api

    if (folder / "preprocessed.done").exists():
        return
    api.extract_fingerprints([1], num_processes=1, check_dataset_integrity=True)
    api.plan_experiments([1], gpu_memory_target_in_gb=memory_gb, overwrite_plans_name=PLANS)
    api.preprocess([1], PLANS, configurations=(CONFIGURATION,), num_processes=(1,))
    (folder / "preprocessed.done").touch()


def budget_trainer(folder: Path, precision: str):
    """The trainer of nnU-Net on a processor, on all cases."""
    import torch
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    class BudgetTrainer(nnUNetTrainer):
        """nnU-Net computes in float32 on a processor. Here the network runs in bfloat16, as that of Adumbra does."""

        def train_step(self, batch):
            self.optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                outputs = self.network(batch["data"])
            loss = self.loss([output.float() for output in outputs], batch["target"])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 12)
            self.optimizer.step()
            return {"loss": loss.item()}

        def plot_network_architecture(self):
            """Needs graphviz, and shows nothing that is measured."""

    source = folder / "preprocessed" / DATASET
    plans = json.loads((source / f"{PLANS}.json").read_text("utf-8")) | {"continue_training": False}
    dataset = json.loads((source / "dataset.json").read_text("utf-8"))
    trainer = BudgetTrainer(plans, CONFIGURATION, "all", dataset, torch.device("cpu"))
    trainer.initialize()
    return trainer


def train(trainer, folder: Path, cpu_seconds: float) -> dict:
    """Trains until the budget is used; the learning rate decays with the CPU time as nnU-Net's does with the epochs.

    Loading and augmentation run in this process, so that its CPU time includes them.
    """
    file, checkpoint = folder / "training.json", folder / "checkpoint.pth"
    state = json.loads(file.read_text("utf-8")) if file.exists() and checkpoint.exists() else {}
    spent, iterations, losses = state.get("cpu_seconds", 0.0), state.get("iterations", 0), state.get("losses", [])
    if state.get("budget", cpu_seconds) != cpu_seconds:
        raise SystemExit(f"{folder} has a training of {state['budget']} CPU-seconds; give another folder")
    if state:
        trainer.load_checkpoint(str(checkpoint))
    trainer.on_train_start()
    trainer.network.train()
    saved, started = spent, time.process_time() - spent
    while spent < cpu_seconds:
        for group in trainer.optimizer.param_groups:
            group["lr"] = trainer.initial_lr * (1.0 - spent / cpu_seconds) ** 0.9
        losses.append(round(trainer.train_step(next(trainer.dataloader_train))["loss"], 4))
        iterations, spent = iterations + 1, time.process_time() - started
        if spent - saved >= CHECKPOINT_EVERY or spent >= cpu_seconds:
            trainer.save_checkpoint(str(checkpoint))
            saved = spent
            state = {
                "budget": cpu_seconds, "cpu_seconds": round(spent, 1), "iterations": iterations, "losses": losses,
                "parameters": sum(p.numel() for p in trainer.network.parameters()),
                "patch": list(trainer.configuration_manager.patch_size),
                "batch": trainer.configuration_manager.batch_size,
                "spacing": list(trainer.configuration_manager.spacing),
            }  # fmt: skip
            temporary = file.with_suffix(".part")
            temporary.write_text(json.dumps(state), "utf-8")
            temporary.replace(file)
    return state


def predict(trainer, folder: Path) -> None:
    """Predicts the held-out cases, without mirroring."""
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    trainer.set_deep_supervision_enabled(False)
    trainer.network.eval()
    predictor = nnUNetPredictor(
        use_mirroring=False, device=torch.device("cpu"), perform_everything_on_device=False, allow_tqdm=False
    )
    predictor.manual_initialization(
        trainer.network, trainer.plans_manager, trainer.configuration_manager,
        [trainer.network.state_dict()], trainer.dataset_json, type(trainer).__name__, None,
    )  # fmt: skip
    out = folder / "predictions"
    out.mkdir(exist_ok=True)
    predictor.predict_from_files_sequential(str(folder / "raw" / DATASET / "imagesTs"), str(out), overwrite=False)


def main() -> None:
    """Plans, trains and predicts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cpu-seconds", type=float, required=True)
    parser.add_argument("--memory-gb", type=float, default=1.0, help="GPU memory that the patch is planned for")
    parser.add_argument("--precision", choices=("bf16", "f32"), default="bf16")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    folder = options.folder.resolve()
    for name in ("raw", "preprocessed", "results"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        os.environ[f"nnUNet_{name}"] = str(folder / name)  # before nnU-Net is imported
    import torch

    torch.set_num_threads(options.threads)
    os.environ |= {"nnUNet_n_proc_DA": "1"}  # planning needs a positive number of processes
    plan(folder, options.memory_gb)
    os.environ |= {"nnUNet_n_proc_DA": "0"}  # augmentation in this process, where its CPU time counts
    trainer = budget_trainer(folder, options.precision)
    train(trainer, folder, options.cpu_seconds)
    predict(trainer, folder)


if __name__ == "__main__":
    main()
