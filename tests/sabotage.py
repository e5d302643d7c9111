"""Break the package one line at a time, in a copy, and see that the test meant for it fails.

    python tests/sabotage.py [WORD ...]     only mutations whose name contains a word

Each mutation runs in a child of a process that has loaded torch but not the package, which saves most of the time.
Exit 0 where every mutation is caught, 1 where one survives, 2 where one does not fit the source any more.
"""

import importlib
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
COPIED = ("pacbound", "cli", "tests", "pyproject.toml", "README.md")
PASSED, FAILED = 0, 1  # of pytest; anything else means that the tests did not run
CRASHED = 98  # pytest itself did not end
FOREIGN = 99  # the tests ran on another copy of the package
LOADED_ONCE = ("torch", "torch.func", "numpy", "scipy.special", "sklearn.datasets", "mpmath")


@dataclass(frozen=True)
class Mutation:
    """One wrong line: in `file`, `old` (which stands there once) becomes `new`; `test` must fail."""

    name: str
    file: str
    old: str
    new: str
    test: str


COUNTED = "tests/soundness/test_what_is_counted.py"
FORGERIES = "tests/attacks/test_forgeries.py"
INVERSION = "tests/bounds/test_inversion.py"
PICKS = "tests/bounds/test_picks.py"
PROJECTORS = "tests/subspace/test_projectors.py"
LEARNER = "tests/picking/test_learner.py"
LOSSES = "tests/bounds/test_losses.py"
LANGUAGE = "tests/bounds/test_language.py"
CODER = "tests/bits/test_coder.py"
ARCHITECTURE = "tests/bits/test_architecture.py"
DRAW = "tests/certificate/test_draw.py"
DRAW_FORGERIES = "tests/attacks/test_draw_forgeries.py"
SAID = "tests/soundness/test_what_users_say.py"
UNITS = "tests/bits/test_units.py"
DIRECT_FORGERIES = "tests/attacks/test_direct_forgeries.py"

COMPOSED = "tests/attacks/test_composed_forgeries.py"
SURROGATE = "tests/methods/test_surrogate.py"
COMPARISONS = "tests/measures/rademacher/test_comparisons.py"
REPEATS = "tests/pipeline/test_repeats.py"
HELD_OUT = "tests/verification/test_held_out.py"
LIKENESS = "tests/data/test_likeness.py"
BASES = "tests/specs/test_base_origin.py"
SYMMETRY = "tests/models/test_symmetry.py"
AGREEMENT = "tests/measures/layers/test_agreement.py"
REDUNDANCY = "tests/measures/redundancy/test_redundancy.py"
PASSES = "tests/networks/test_passes.py"
MIXED = "tests/data/test_mixed.py"
HIDDEN = "tests/networks/test_hidden.py"
REBUILT = "tests/networks/test_rebuilt.py"
COVERING = "tests/measures/covering/test_covering.py"
PICKS_FORGERIES = "tests/attacks/test_picks_forgeries.py"
ENCODER_SEEDS = "tests/pipeline/test_encoder_seeds.py"
SELECTION = "tests/picking/test_selection.py"
PICKING_ORDER = "tests/picking/test_order.py"

SWEEP = "tests/certificate/test_sweep.py"
SWEEP_FORGERIES = "tests/attacks/test_sweep_forgeries.py"
SWEEPS = "tests/sweeps/test_driver.py"

REPORT = "tests/reports/test_report.py"
EXPORTS = "tests/reports/test_exports.py"
CONTOURS = "tests/reports/test_contours.py"

TEXTS = "tests/models/test_texts.py"
ADAPTERS = "tests/models/test_adapters.py"
COLUMNS = "tests/data/test_columns.py"
PEFT_FOLDER = "tests/models/test_peft_folder.py"
HEADS, OWN_HEAD = "tests/bits/test_head.py", "tests/models/test_own_head.py"

SEQUENCES = "tests/models/test_sequences.py"
CAUSALITY = "tests/networks/test_causality.py"
LLAMA = "tests/models/test_llama.py"
LANGUAGE_MODELS = "tests/models/test_language.py"
DIFFERENCES = "tests/networks/test_differences.py"
LLAMA_TOKENS = "tests/data/test_llama2c.py"

PREDICTIONS, NGRAMS = "tests/networks/test_predictions.py", "tests/networks/test_ngrams.py"
LANGUAGE_FLOW = "tests/methods/test_language.py"
LANGUAGE_START = "tests/methods/test_language_start.py"

THREADS = "tests/test_threads.py"
DISTRIBUTED = "tests/test_distributed.py"
GRADIENT = f"{DISTRIBUTED}::test_the_gradient_of_a_batch_is_that_of_its_mean_loss"
DIVIDED = f"{DISTRIBUTED}::test_what_is_divided_is_what_one_process_finds"
ONE_MESSAGE = f"{DISTRIBUTED}::test_an_error_of_one_process_ends_all_with_one_message"

QUANTIZATION = "tests/methods/test_quantization.py"
FORGED_DIFFERENCES = f"{QUANTIZATION}::test_forgeries_are_refused_at_the_first_level_that_sees_them"

MUTATIONS = (
    Mutation(
        "parts of a batch weigh the same whatever their size",
        "pacbound/training/joint.py",
        "(len(own) / len(rows))",
        "(1 / 3)",
        GRADIENT,
    ),
    Mutation(
        "every process takes the first part of a batch",
        "pacbound/distributed.py",
        "items.tensor_split(world.size)[world.rank]",
        "items.tensor_split(world.size)[0]",
        GRADIENT,
    ),
    Mutation(
        "every process counts the same batches",
        "pacbound/distributed.py",
        "functools.partial(act, group[world.rank])",
        "functools.partial(act, group[0])",
        DIVIDED,
    ),
    Mutation(
        "every process goes through all chunks of the curvature",
        "pacbound/distributed.py",
        "return range(world.rank, count, world.size)",
        "return range(count)",
        DIVIDED,
    ),
    Mutation(
        "a curvature is that of one process's chunks",
        "pacbound/subspace/curvature.py",
        "    total = summed(total)\n",
        "    total = total.clone()\n",
        DIVIDED,
    ),
    Mutation(
        "processes with other samples train together",
        "pacbound/distributed.py",
        "    if digest != first(lambda: digest):\n",
        "    if not first(lambda: digest):\n",
        ONE_MESSAGE,
    ),
    Mutation(
        "every process says the same error",
        "pacbound/distributed.py",
        "return store.add(REFUSALS, 1) > 1",
        "return store.add(REFUSALS, 1) < 1",
        ONE_MESSAGE,
    ),
    Mutation(
        "every process writes a state of its own",
        "pacbound/training/state.py",
        "if self.path is None or not leads() or (not force",
        "if self.path is None or (not force",
        f"{DISTRIBUTED}::test_after_a_process_is_lost_they_begin_again_where_the_state_is",
    ),
    Mutation(
        "versions of a network are not paid for",
        "pacbound/certificate/difference.py",
        'Ledger().choice("versions", versions, VERSIONS)',
        'Ledger().choice("versions", 1, VERSIONS)',
        f"{QUANTIZATION}::test_of_a_text_it_says_what_is_mixed_and_averaged",
    ),
    Mutation(
        "mean ceilings that were lowered are not counted again",
        "pacbound/verification/language_losses.py",
        'pairs = [("mean loss", found.losses, stated.losses), ("mean ceiling", found.ceilings, stated.ceilings)]',
        'pairs = [("mean loss", found.losses, stated.losses)]',
        FORGED_DIFFERENCES,
    ),
    Mutation(
        "copies of documents are draws",
        "pacbound/methods/language.py",
        '        check_repeats(len(spans), distinct, "documents", request.repeats)\n',
        "",
        f"{LANGUAGE_FLOW}::test_copies_of_documents_are_no_draws",
    ),
    Mutation(
        "what nobody reads of a document tells copies apart",
        "pacbound/data/texts.py",
        "np.asarray(raw[begin : min(end, begin + window)]).tobytes()",
        "np.asarray(raw[begin:end]).tobytes()",
        f"{LANGUAGE_FLOW}::test_copies_of_documents_are_no_draws",
    ),
    Mutation(
        "nobody counts distinct documents again",
        "pacbound/verification/language_losses.py",
        "None if found == units.distinct else",
        "None if found <= (units.distinct or 0) else",
        f"{LANGUAGE_FLOW}::test_copies_of_documents_are_no_draws",
    ),
    Mutation(
        "the draw of positions is free",
        "pacbound/certificate/language_recheck.py",
        "        bits = 2 * (units.seed + 1).bit_length() - 1\n",
        "        bits = 0\n",
        f"{LANGUAGE_FLOW}::test_the_seed_of_positions_is_paid",
    ),
    Mutation(
        "a text may have more bytes than it has",
        "pacbound/verification/language_losses.py",
        "    if (found, text.n, text.bytes_in_all) == (stated.digest, stated.symbols, stated.bytes):\n",
        "    if (found, text.n) == (stated.digest, stated.symbols):\n",
        f"{LANGUAGE_FLOW}::test_bytes_that_a_text_does_not_have_make_no_bits_a_byte",
    ),
    Mutation(
        "a tokenizer may lose words of a text",
        "pacbound/data/subwords.py",
        '    if back.lstrip(b" ") != raw.lstrip(b" "):\n',
        "    if not back:\n",
        "tests/data/test_subwords.py::test_tokens_that_do_not_give_a_text_back_are_not_its_tokens",
    ),
    Mutation(
        "the mean on held-out text is anything",
        "pacbound/certificate/language_recheck.py",
        "    if other.mean < other.sums.losses / other.sums.n:\n",
        "    if other.mean < 0:\n",
        f"{LANGUAGE_FLOW}::test_forgeries_are_refused_at_the_first_level_that_sees_them",
    ),
    Mutation(
        "a predictor may stand twice, once to be checked and once to be shown",
        "pacbound/certificate/language_recheck.py",
        "    if len(set(names)) < len(names):\n",
        "    if not names:\n",
        f"{LANGUAGE_FLOW}::test_forgeries_are_refused_at_the_first_level_that_sees_them",
    ),
    Mutation(
        "held-out text may be what theta0 was trained on",
        "pacbound/verification/language_losses.py",
        "        for seen in (text, *_before(certificate, data, root, tokenizer)):\n",
        "        for seen in (text,):\n",
        f"{LANGUAGE_START}::test_held_out_text_that_theta0_was_trained_on_does_not_stand",
    ),
    Mutation(
        "figures are rounded to 28 digits before they are rounded up",
        "pacbound/certificate/statement.py",
        "    return number.quantize(step, ROUND_CEILING, EXACT)\n",
        "    return (number * 1).quantize(step, ROUND_CEILING)\n",
        f"{LANGUAGE_FLOW}::test_figures_of_any_size_are_printed",
    ),
    Mutation(
        "a scaler fitted on the rows is not seen",
        "pacbound/data/columns.py",
        "    still = power == 0.0\n",
        "    still = power < 2.0\n",
        "tests/data/test_columns.py::test_rows_scaled_by_their_own_statistics_are_known",
    ),
    Mutation(
        "why held-out examples repeat is not declared",
        "pacbound/certificate/difference.py",
        "    if data is not None and data.repeats is not None:\n",
        "    if data is None:\n",
        f"{QUANTIZATION}::test_why_examples_repeat_is_declared",
    ),
    Mutation(
        "what theta0 of a split started from has not seen held-out examples, nobody says",
        "pacbound/reports/shared.py",
        'base.kind == "split" and base.split is not None and base.split.start is None',
        'base.kind == "split" and base.split is not None',
        "tests/reports/test_show.py::test_a_held_out_figure_says_its_condition_where_weights_came_from_elsewhere",
    ),
    Mutation(
        "one line of a certificate rounds its bound to the nearest",
        "pacbound/certificate/schema.py",
        'said = f"risk <= {rounded_up(stated.value)} by',
        'said = f"risk <= {stated.value:.6f} by',
        "tests/certificate/test_statement.py::test_one_line_of_a_certificate_does_not_round_its_bound_down",
    ),
    Mutation(
        "held-out examples may be bounded at any confidence",
        "pacbound/certificate/recheck.py",
        "    if other.delta != certificate.stated_bound.delta:\n",
        "    if not other.delta:\n",
        f"{FORGERIES}::test_each_forgery_is_caught_first_at_its_level",
    ),
    Mutation(
        "two held-out figures may stand beside a headline, one of which is counted again",
        "pacbound/certificate/recheck.py",
        "    if len(set(kinds)) < len(kinds):\n",
        "    if not kinds and certificate.also:\n",
        f"{FORGERIES}::test_each_forgery_is_caught_first_at_its_level",
    ),
    Mutation(
        "any text may be given for the held-out one of a language model",
        "pacbound/verification/language_losses.py",
        '    return () if test is None else (Finding(check="held-out text", complaint=wrong),)\n',
        "    return () if wrong else ()\n",
        f"{LANGUAGE_FLOW}::test_a_held_out_text_that_is_given_is_counted_or_refused",
    ),
    Mutation(
        "runs of a grid may start from as many theta0",
        "pacbound/sweeps/plan.py",
        "    if request.start_minutes is not None:\n",
        "    if request.start_minutes == 0:\n",
        "tests/sweeps/test_plan.py::test_theta0_of_a_split_is_one_for_runs_whose_messages_say_the_same",
    ),
    Mutation(
        "the mean ceiling of a language model may lie below its ceiling",
        "pacbound/certificate/language_recheck.py",
        "    if sums.ceilings < sums.n * sums.ceiling:\n",
        "    if sums.ceilings < sums.losses:\n",
        f"{LANGUAGE_FLOW}::test_forgeries_are_refused_at_the_first_level_that_sees_them",
    ),
    Mutation(
        "a quantizer's version may have any values",
        "pacbound/verification/difference.py",
        "    if wrong is None and values_of(network) != row.values:\n",
        "    if wrong is None and values_of(network) == row.name:\n",
        FORGED_DIFFERENCES,
    ),
    Mutation(
        "nobody has to say that the data are held out",
        "pacbound/methods/quantization.py",
        "    if not request.disjoint:\n",
        "    if not request.delta:\n",
        f"{QUANTIZATION}::test_contradictions_are_refused",
    ),
    Mutation(
        "a document is predicted from the one before",
        "pacbound/networks/predictions.py",
        "(start, first, min(stop, start + window)) if units.apart else (max(0, stop - window), start, stop)",
        "max(0, stop - window), start, stop",
        f"{PREDICTIONS}::test_a_document_is_predicted_from_its_beginning_alone",
    ),
    Mutation(
        "a later window predicts again what an earlier one did",
        "pacbound/networks/predictions.py",
        "        first, begin = end, begin + step\n",
        "        first, begin = end, begin + window\n",
        f"{PREDICTIONS}::test_a_stream_is_predicted_window_by_window",
    ),
    Mutation(
        "a window shows the symbol that it predicts",
        "pacbound/networks/predictions.py",
        "np.concatenate([np.full((len(batch), 1), start), known[:, :-1]], axis=1)",
        "known",
        f"{PREDICTIONS}::test_a_stream_is_predicted_window_by_window",
    ),
    Mutation(
        "symbols that the network does not know are left out of the entropy",
        "pacbound/networks/predictions.py",
        "    return losses, -(smoothed * np.log2(smoothed)).sum(1) - others * floor * math.log2(floor)\n",
        "    return losses, -(smoothed * np.log2(smoothed)).sum(1)\n",
        f"{PREDICTIONS}::test_a_stream_is_predicted_window_by_window",
    ),
    Mutation(
        "words that favour some positions are kept",
        "pacbound/networks/predictions.py",
        "    kept = words if whole == 1 << 64 else words[words < np.uint64(whole)]\n",
        "    kept = words\n",
        f"{PREDICTIONS}::test_words_that_favour_some_positions_are_left_out",
    ),
    Mutation(
        "an n-gram has seen the symbol that it predicts",
        "pacbound/networks/ngrams.py",
        "(pair + different * p) / np.maximum(seen + different, 1)",
        "(pair + 1 + different * p) / np.maximum(seen + 1 + different, 1)",
        f"{NGRAMS}::test_an_adaptive_ngram_is_that_of_its_counts",
    ),
    Mutation(
        "the bytes that a network predicts are free",
        "pacbound/certificate/language_recheck.py",
        '        ledger = ledger.choice("alphabet", 1 << len(alphabet.declared),',
        '        ledger = ledger.choice("alphabet", 1,',
        f"{LANGUAGE_FLOW}::test_a_ledger_pays_network_alphabet_smoothing_centre_and_windows",
    ),
    Mutation(
        "a text that changes while a network is trained on it is certified",
        "pacbound/pipeline/language.py",
        "    if record_of(text) != before:\n",
        "    if False:\n",
        f"{LANGUAGE_FLOW}::test_a_text_that_changes_during_the_run_is_refused",
    ),
    Mutation(
        "a dry run of a tree counts the contexts that are too rare for it",
        "pacbound/training/context_tree.py",
        "    frequent = counts >= LEAST_COUNT\n",
        "    frequent = counts >= 2\n",
        "tests/methods/test_language_tree.py::test_a_forecast_of_a_tree_counts_the_contexts_that_are_frequent",
    ),
    Mutation(
        "a text shorter than the contexts of a tree is read from its other end",
        "pacbound/models/context_tree.py",
        "ids[:, : max(0, ids.shape[1] - k)]",
        "ids[:, : ids.shape[1] - k]",
        "tests/models/test_context_tree.py"
        "::test_texts_shorter_than_its_contexts_are_answered_like_the_beginnings_of_longer_ones",
    ),
    Mutation(
        "a window of a context tree goes on before its first symbol",
        "pacbound/models/context_tree.py",
        "            there[:, :k] = False  # nothing stands before the first symbol\n",
        "",
        "tests/models/test_context_tree.py::test_logits_are_sums_over_the_contexts_that_the_text_ends_with",
    ),
    Mutation(
        "a message with more branches than contexts ends in a traceback",
        "pacbound/models/context_tree.py",
        "(flags.flatten().cumsum(0) - 1).clamp(0, len(logits) - 1)",
        "(flags.flatten().cumsum(0) - 1)",
        "tests/models/test_context_tree.py::test_flags_that_do_not_fit_the_number_of_contexts_still_make_a_network",
    ),
    Mutation(
        "contexts stay that save less than their bits",
        "pacbound/training/context_tree.py",
        "        places = np.flatnonzero((values > 0) & (",
        "        places = np.flatnonzero((values > -1e9) & (",
        "tests/training/test_context_tree.py::test_a_text_of_independent_symbols_has_no_contexts",
    ),
    Mutation(
        "a ceiling below the losses that may come",
        "pacbound/certificate/language_recheck.py",
        "    if sums.ceiling is None or not least <= sums.ceiling <= ceiling + 1e-9 or sums.lowest != 0:\n",
        "    if sums.ceiling is None or sums.lowest != 0:\n",
        f"{LANGUAGE_FLOW}::test_forgeries_are_refused_at_the_first_level_that_sees_them",
    ),
    Mutation(
        "losses counted again may be larger",
        "pacbound/verification/language_losses.py",
        "        if again > said:\n",
        "        if again > 2 * said:\n",
        f"{LANGUAGE_FLOW}::test_forgeries_are_refused_at_the_first_level_that_sees_them",
    ),
    Mutation(
        "theta0 beside a language model pays nothing for its choices",
        "pacbound/certificate/language_recheck.py",
        "    if other.bits != bits or other.n != other.sums.n:\n",
        "    if other.n != other.sums.n:\n",
        "tests/methods/test_language_checkpoints.py::test_theta0_beside_it_cannot_be_made_worse_or_better_than_it_is",
    ),
    Mutation(
        "a killed run of a language model forgets its noise",
        "pacbound/training/lattices.py",
        '    generator.set_state(held["generator"])\n',
        "",
        "tests/training/test_lattices.py::test_an_interrupted_run_ends_where_an_uninterrupted_one_does",
    ),
    Mutation(
        "documents across the edge of a chunk are missed",
        "pacbound/data/texts.py",
        "window[max(len(window) - len(separator) + 1, begin - offset) :] if",
        'b"" if',
        "tests/data/test_texts.py::test_documents_and_digests_do_not_depend_on_chunks",
    ),
    Mutation(
        "the digest of an adapter leaves out the network that it goes with",
        "pacbound/models/foreign.py",
        '[f"{folder_digest(base_folder(path))}  base\\n"]',
        "[]",
        f"{PEFT_FOLDER}::test_the_digest_covers_the_adapter_and_what_it_goes_with",
    ),
    Mutation(
        "an adapter of another network is merged as far as it fits",
        "pacbound/models/peft_folder.py",
        "    if own.keys() != weights.keys() or any(",
        "    if False and any(",
        f"{PEFT_FOLDER}::test_an_adapter_that_fits_in_part_is_refused",
    ),
    Mutation(
        "a surrogate may start from the original saved again",
        "pacbound/methods/surrogate.py",
        "    if start is not None and contents_digest(start) == contents_digest(original, work.request.key):\n",
        "    if False and start is not None:\n",
        f"{SURROGATE}::test_the_original_saved_again_in_another_form_is_no_start_of_its_surrogate",
    ),
    Mutation(
        "verify lets a surrogate start from the original saved again",
        "pacbound/verification/recount.py",
        "    if contents_digest(start) == contents_digest(original, given.key):\n",
        "    if start == original:\n",
        f"{SURROGATE}::test_a_certificate_whose_start_is_the_original_in_another_form_does_not_stand",
    ),
    Mutation(
        "constants that were learned are taken at their word",
        "pacbound/verification/verification.py",
        "    other = learn_constants(first.x) != spec.sha256\n",
        "    other = not learn_constants(first.x)\n",
        f"{COLUMNS}::test_constants_of_other_examples_than_the_share_do_not_stand",
    ),
    Mutation(
        "constants are learned on the rest",
        "pacbound/pipeline/preparation.py",
        "    first = None if split is None else split.first.x\n",
        "    first = None if split is None else split.rest.x\n",
        f"{COLUMNS}::test_constants_learned_on_a_share_stand_with_the_sample_alone",
    ),
    Mutation(
        "rows of a head are sent as if their number said which",
        "pacbound/bits/head.py",
        "    number = stream.integer(ITEM, (subsets - 1).bit_length(), WHY,",
        "    number = stream.integer(ITEM, of.bit_length(), WHY,",
        f"{HEADS}::test_rows_come_back_and_cost_their_number_and_which_set_they_are",
    ),
    Mutation(
        "rows under the names' flag are anybody's choice",
        "pacbound/verification/recount.py",
        "    if by_names(names_in(checkpoint), names_of(examples)) != head:\n",
        "    if by_names(names_in(checkpoint), names_of(examples)).of != head.of:\n",
        f"{OWN_HEAD}::test_rows_by_names_cost_a_bit_and_are_found_again_from_folder_and_data",
    ),
    Mutation(
        "a head may say that its checkpoint has other rows",
        "pacbound/networks/checkpoints.py",
        "    if not found or set(found.values()) != {head.of}:\n",
        "    if not found:\n",
        f"{OWN_HEAD}::test_a_head_that_says_that_the_file_has_more_rows_is_refused",
    ),
    Mutation(
        "rotary positions turn the other way",
        "pacbound/models/sequences.py",
        "even * sin + odd * cos], dim=-1)",
        "even * sin - odd * cos], dim=-1)",
        f"{SEQUENCES}::test_networks_compute_what_is_said_of_them",
    ),
    Mutation(
        "a window looks at the position after",
        "pacbound/models/sequences.py",
        "F.pad(x, (0, 0, self.reach - 1, 0))",
        "F.pad(x, (0, 0, self.reach - 2, 1))",
        f"{CAUSALITY}::test_networks_of_the_grammar_depend_on_the_past_alone",
    ),
    Mutation(
        "a block attends to what comes later",
        "pacbound/models/sequences.py",
        "rotated(k), v, is_causal=True)",
        "rotated(k), v, is_causal=False)",
        f"{CAUSALITY}::test_networks_of_the_grammar_depend_on_the_past_alone",
    ),
    Mutation(
        "a trace of the next symbol is taken for rounding",
        "pacbound/networks/causality.py",
        "    if bool((worst > 0).any()):\n",
        "    if bool((worst > 1).any()):\n",
        f"{CAUSALITY}::test_networks_that_look_ahead_are_refused",
    ),
    Mutation(
        "the ceiling of a difference is the mean over symbols",
        "pacbound/networks/differences.py",
        "alpha, size).max(1)\n",
        "alpha, size).mean(1)\n",
        f"{DIFFERENCES}::test_sums_are_those_of_losses_taken_one_by_one",
    ),
    Mutation(
        "a near-tie of the reference counts as its error",
        "pacbound/networks/differences.py",
        "(logits > logits.gather(1, y[:, None]) + margin)",
        "(logits > logits.gather(1, y[:, None]) - margin)",
        f"{DIFFERENCES}::test_near_ties_count_against_the_new_network_alone",
    ),
    Mutation(
        "a block is quantized by another scale than the one it is multiplied by",
        "pacbound/quantize/blockwise.py",
        "np.where(rounded > 0, rounded, 1)",
        "np.where(rounded > 0, scales, 1)",
        "tests/quantize/test_tensors.py::test_a_weight_is_the_nearest_entry_times_the_scale_that_is_sent",
    ),
    Mutation(
        "a network that reads its neighbours is taken for causal",
        "pacbound/networks/causality.py",
        "vocabulary), first[row : row + 1], ",
        "vocabulary), first[row : row + 1] if row < 0 else _ask(network, ids[row : row + 1], vocabulary), ",
        f"{CAUSALITY}::test_neighbours_in_a_batch_must_not_matter",
    ),
    Mutation(
        "a checkpoint of llama2.c is not held against the size of its file",
        "pacbound/models/llama.py",
        "    if size != expected:\n",
        "    if size < HEADER.size:\n",
        f"{LLAMA}::test_damaged_files_are_refused",
    ),
    Mutation(
        "a checkpoint without a head is completed by chance",
        "pacbound/models/language.py",
        "    if absent:\n",
        "    if absent and not absent:\n",
        f"{LANGUAGE_MODELS}::test_what_is_no_language_model_or_not_all_of_it_is_refused",
    ),
    Mutation(
        "a text is cut where a piece reaches across",
        "pacbound/data/llama2c.py",
        "            if text[at - 1 : at + 1] not in pairs:\n",
        "            if text[at - 1] not in pairs:\n",
        f"{LLAMA_TOKENS}::test_tokens_are_those_of_the_loop_over_the_whole_text",
    ),
    Mutation(
        "images may follow an embedding",
        "pacbound/specs/grammar.py",
        "        return AFTER_EMBEDDING\n",
        "        return tuple(KINDS)\n",
        "tests/specs/test_grammar.py::test_refusals_name_the_place_what_was_found_and_what_could_stand_there",
    ),
    Mutation(
        "padding is read as a word",
        "pacbound/models/classifiers.py",
        "    return torch.where(seen, 0.0, far)[:, None, None]\n",
        "    return torch.where(seen | True, 0.0, far)[:, None, None]\n",
        f"{TEXTS}::test_a_folder_gives_the_classifier_that_was_saved",
    ),
    Mutation(
        "adapters are drawn by torch",
        "pacbound/models/adapters.py",
        "            parameter.data.copy_(torch.from_numpy(values).reshape(parameter.shape))\n",
        "            pass\n",
        f"{ADAPTERS}::test_adapters_are_drawn_by_our_own_generator",
    ),
    Mutation(
        "the digest of a folder leaves out how a text becomes a vector",
        "pacbound/models/foreign.py",
        ", *sentence_files(path)}",
        "}",
        f"{TEXTS}::test_the_digest_covers_how_a_vector_is_made",
    ),
    Mutation(
        "a report ranks what does not stand",
        "pacbound/reports/report.py",
        "for name, one in certificates if subjects[name].stands]",
        "for name, one in certificates]",
        f"{REPORT}::test_a_message_that_was_changed_does_not_stand_though_its_arithmetic_does",
    ),
    Mutation(
        "a report looks at the arithmetic alone",
        "pacbound/reports/complaint.py",
        "last if last.complaint is not None else recheck_message(certificate)[0][-1]\n",
        "last\n",
        f"{REPORT}::test_a_message_that_was_changed_does_not_stand_though_its_arithmetic_does",
    ),
    Mutation(
        "the theta0 of a language model may have seen more of the text than the split says",
        "pacbound/certificate/language_recheck.py",
        "    if not split.first - CHARACTER <= begin <= split.first or last != split.whole:\n",
        "    if last != split.whole:\n",
        f"{LANGUAGE_START}::test_forged_splits_are_refused_at_the_first_level_that_sees_them",
    ),
    Mutation(
        "the split of a text may be shuffled",
        "pacbound/certificate/language_recheck.py",
        '    if certificate.units.statement != "stream" or split.seed:\n',
        '    if certificate.units.statement != "stream":\n',
        f"{LANGUAGE_START}::test_forged_splits_are_refused_at_the_first_level_that_sees_them",
    ),
    Mutation(
        "what theta0 of a text was trained on may be any bytes",
        "pacbound/verification/language_losses.py",
        "        wrong = _other_whole(split, data, root)\n",
        "        wrong = None\n",
        f"{LANGUAGE_START}::test_another_beginning_of_the_text_is_refused",
    ),
    Mutation(
        "a run that was stopped at the end of a stage goes on with another price of a nat",
        "pacbound/training/posterior.py",
        "beta = run.moving.restore(resumed)",
        "run.moving.restore(resumed)",
        "tests/pipeline/test_resume.py::test_a_run_that_dies_after_any_save_resumes_to_the_same_core",
    ),
    Mutation(
        "the mirror image of a draw is the draw itself",
        "pacbound/training/posterior.py",
        "for sign in (1, -1)[:count]]",
        "for sign in (1, 1)[:count]]",
        "tests/training/test_posterior.py::test_two_draws_lie_opposite_about_the_mean",
    ),
    Mutation(
        "bits of a sequence's posterior are bought below the price of the largest lambda",
        "pacbound/training/lattices.py",
        "(2 * max(nats, 1.0))), least_beta)",
        "(2 * max(nats, 1.0))), 0.0)",
        "tests/training/test_sequence_posterior.py::test_dearer_bits_buy_fewer_symbols",
    ),
    Mutation(
        "claims of a certificate that does not stand are exported",
        "pacbound/reports/exports/subject.py",
        "        if self.complaint:\n",
        "        if False:\n",
        f"{EXPORTS}::test_what_does_not_stand_is_exported_nowhere_else",
    ),
    Mutation(
        "a failed verification is attested as passed",
        "pacbound/reports/exports/in_toto.py",
        '"PASSED" if failed is None else "FAILED"',
        '"PASSED"',
        f"{EXPORTS}::test_a_verification_summary_is_read_by_its_published_predicate",
    ),
    Mutation(
        "lines of equal bound lie where another level belongs",
        "pacbound/reports/contours.py",
        "    return tuple(level / scale for level in levels)\n",
        "    return tuple(level / 50 for level in levels)\n",
        f"{CONTOURS}::test_every_point_of_a_line_has_the_bound_that_its_label_says",
    ),
    Mutation(
        "picks may be fewer than the size that was written down",
        "pacbound/certificate/picked.py",
        "(spec.stop >= len(listed) or part.picked < listed[spec.stop])",
        "spec.stop >= len(listed)",
        f"{PICKS_FORGERIES}::test_every_edit_is_refused_by_name",
    ),
    Mutation(
        "picks by priority may be more than the size that was written down",
        "pacbound/certificate/picked.py",
        '    if spec.recipe.order == "priority" and part.picked != exact:\n',
        "    if False:\n",
        f"{PICKS_FORGERIES}::test_every_edit_is_refused_by_name",
    ),
    Mutation(
        "an example may be picked twice",
        "pacbound/bits/picks.py",
        "    if len(np.unique(found)) < count:\n",
        "    if False:\n",
        "tests/bits/test_picks.py::test_what_is_no_list_of_examples_is_refused",
    ),
    Mutation(
        "verify lets more errors outside the picks pass than stated",
        "pacbound/verification/recount.py",
        "    if part is not None and complaint is None and outside > part.errors:\n",
        "    if False:\n",
        f"{PICKS_FORGERIES}::test_every_edit_is_refused_by_name",
    ),
    Mutation(
        "errors outside the picks are counted inside too",
        "pacbound/networks/risk.py",
        "    outside[torch.from_numpy(picked)] = False\n",
        "",
        f"{PICKS_FORGERIES}::test_the_honest_one_stands_at_every_level_and_says_on_whose_word",
    ),
    Mutation(
        "a picked network enters occam with the bits of its recipe",
        "pacbound/certificate/composed.py",
        "    picked, errors = (None, errors) if part is None else (part.picked, part.errors)\n",
        "    picked = None\n",
        f"{PICKS_FORGERIES}::test_a_network_made_from_picks_is_no_surrogate_whose_code_is_short",
    ),
    Mutation(
        "replay is content with the same picks",
        "pacbound/verification/replay.py",
        "    reproduced = same_picks and selection.file_of(last) == certificate.beside()\n",
        "    reproduced = same_picks\n",
        f"{PICKS_FORGERIES}::test_what_only_replay_can_see_is_not_reproduced",
    ),
    Mutation(
        "replay is content with the same network",
        "pacbound/verification/replay.py",
        "    reproduced = same_picks and selection.file_of(last) == certificate.beside()\n",
        "    reproduced = selection.file_of(last) == certificate.beside()\n",
        f"{PICKS_FORGERIES}::test_what_only_replay_can_see_is_not_reproduced",
    ),
    Mutation(
        "a group by priority holds whoever was asked and wrong",
        "pacbound/picking/selection.py",
        "return np.concatenate(found)[:size], TAIL",
        "return np.concatenate(found), TAIL",
        f"{SELECTION}::test_the_selection_is_that_of_a_slow_one_which_asks_everybody",
    ),
    Mutation(
        "a selection ends where nobody is wrong among the last of the order",
        "pacbound/picking/selection.py",
        "stop = END if not len(group) else place",
        "stop = END if not wrong else place",
        f"{SELECTION}::test_the_selection_is_that_of_a_slow_one_which_asks_everybody",
    ),
    Mutation(
        "a group by loss is parted where rounding may part it",
        "pacbound/picking/order.py",
        "    while 0 < end < len(values) and not",
        "    while False and not",
        f"{PICKING_ORDER}::test_a_group_ends_at_the_first_gap_that_rounding_cannot_close",
    ),
    Mutation(
        "the label has no part in the priority of an example",
        "pacbound/picking/order.py",
        "        hasher.update(label.tobytes())\n",
        "",
        f"{PICKING_ORDER}::test_priorities_are_hashes_of_seed_bytes_and_label",
    ),
    Mutation(
        "what a network notes when it is asked reaches the learner",
        "pacbound/picking/selection.py",
        "        module = private_copy(self.theta0)\n",
        "        module = self.theta0\n",
        f"{SELECTION}::test_what_a_network_notes_when_it_is_asked_does_not_reach_the_learner",
    ),
    Mutation(
        "the grid of a sweep costs nothing",
        "pacbound/certificate/accounting.py",
        '        ledger = ledger.choice("sweep", sweep.choices, sweep.why)\n',
        '        ledger = ledger.choice("sweep", 1, sweep.why)\n',
        f"{SWEEP_FORGERIES}::test_the_honest_one_stands_and_pays",
    ),
    Mutation(
        "networks of their author's are no choice of a grid",
        "pacbound/certificate/sweep.py",
        '        return "message" if value == "auto" or is_described(value) else "grid"\n',
        '        return "message"\n',
        f"{SWEEP}::test_the_price_counts_different_combinations_of_what_has_one",
    ),
    Mutation(
        "a later sweep costs no more than the first",
        "pacbound/certificate/sweep.py",
        "self.combinations * self.number * (self.number + 1)",
        "self.combinations * 2",
        f"{SWEEP}::test_the_price_counts_different_combinations_of_what_has_one",
    ),
    Mutation(
        "a run of a grid may be another run's network",
        "pacbound/certificate/sweep.py",
        "        if values.get(name, value) != value:\n",
        "        if False:\n",
        f"{SWEEP_FORGERIES}::test_each_forgery_is_caught",
    ),
    Mutation(
        "a network that saw the sample may be theta0 after a fit",
        "pacbound/integrations/after_fit.py",
        "        if request.method not in METHODS:\n",
        "        if False:\n",
        "tests/integrations/test_callbacks.py::test_what_a_fitted_network_cannot_have_is_refused_before_the_fit",
    ),
    Mutation(
        "a sweep goes on with a sample that changed",
        "pacbound/sweeps/worker.py",
        "    if (certificate.data.digest if split is None else split.digest) != sweep.sample:\n",
        "    if False:\n",
        f"{SWEEPS}::test_a_sample_that_changes_meanwhile_is_refused",
    ),
    Mutation(
        "an altered data set is none that was looked at",
        "pacbound/certificate/tuned.py",
        "    return first if first in TUNED_ON else None\n",
        "    return name if name in TUNED_ON else None\n",
        "tests/certificate/test_recheck.py::test_what_was_tuned_on_a_data_set_is_paid_for_where_it_is_altered",
    ),
    Mutation(
        "pictures are sheared and not turned",
        "pacbound/data/altered.py",
        "    places = (cosine * down + sine * right, cosine * right - sine * down)\n",
        "    places = (cosine * down + sine * right, cosine * right + sine * down)\n",
        "tests/data/test_altered.py::test_every_picture_is_turned_by_its_own_angle",
    ),
    Mutation(
        "ink leans the other way after its moments",
        "pacbound/models/features.py",
        "        v = _sampled(v, (y + cy).expand(len(v), high, wide), cx + x + shear * y)\n",
        "        v = _sampled(v, (y + cy).expand(len(v), high, wide), cx + x - shear * y)\n",
        "tests/models/test_features.py::test_moments_are_those_of_scipy",
    ),
    Mutation(
        "pixels of an image are stretched by those of its batch",
        "pacbound/models/features.py",
        "    least, most = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)\n",
        "    least, most = x.amin(), x.amax()\n",
        "tests/models/test_features.py::test_an_image_is_answered_by_itself",
    ),
    Mutation(
        "an image without contrast has no maps",
        "pacbound/models/features.py",
        "    return (x - least) / (most - least).clamp(min=TINY)\n",
        "    return (x - least) / (most - least)\n",
        "tests/models/test_features.py::test_any_image_has_finite_maps",
    ),
    Mutation(
        "bars of a grey image have one sign",
        "pacbound/models/features.py",
        "torch.cat([edges, bars, -bars], 1)",
        "torch.cat([edges, bars, bars], 1)",
        "tests/models/test_features.py::test_bars_are_those_of_scipy",
    ),
    Mutation(
        "fine bars of a colour image are as wide as the others",
        "pacbound/models/features.py",
        "_scaled(_bars(FINE_SPREAD), BAR_GAINS[1])",
        "_scaled(_bars(SPREAD), BAR_GAINS[1])",
        "tests/models/test_features.py::test_bars_of_colours_are_those_of_scipy",
    ),
    Mutation(
        "bars read whatever has channels",
        "pacbound/models/architecture.py",
        "        if images not in read:\n",
        "        if images not in read and channels > 3:\n",
        "tests/models/test_features.py::test_images_that_features_do_not_read_are_refused",
    ),
    Mutation(
        "maps of features are held whatever memory there is",
        "pacbound/pipeline/capturing.py",
        "return dtype if numbers * dtype.itemsize <= MOST_SHARE * limit_bytes() else None\n",
        "return dtype\n",
        "tests/models/test_features.py::test_training_runs_on_features_made_once_and_the_whole_network_is_counted",
    ),
    Mutation(
        "many maps of features are held in full",
        "pacbound/pipeline/capturing.py",
        "dtype = torch.float32 if numbers * torch.float32.itemsize <= WHOLE_BYTES else torch.float16\n",
        "dtype = torch.float32\n",
        "tests/models/test_features.py::test_many_features_are_held_in_halves_and_the_whole_network_is_counted",
    ),
    Mutation(
        "features beyond the range of halves become infinite",
        "pacbound/networks/captured.py",
        "kept[rows] = part.clamp(-most, most)\n",
        "kept[rows] = part\n",
        "tests/networks/test_captured.py::test_halves_are_near_and_what_is_beyond_their_range_is_cut",
    ),
    Mutation(
        "features may stand behind trained layers",
        "pacbound/specs/grammar.py",
        '    barred += FEATURES if fixed not in ([], ["moments"]) else ("moments",) if fixed else ()\n',
        '    barred += FEATURES if "edges" in fixed else ()\n',
        "tests/models/test_features.py::test_features_stand_before_all_other_layers",
    ),
    Mutation(
        "turns of a map move on the wrong way",
        "pacbound/models/architecture.py",
        "            weight = parts.roll(turns, 1).flatten(1, 2)\n",
        "            weight = parts.roll(-turns, 1).flatten(1, 2)\n",
        "tests/models/test_architecture.py::test_turned_convolutions_are_what_is_said_of_them",
    ),
    Mutation(
        "bounds below a known risk are not counted",
        "pacbound/studies/section.py",
        "    return sum(run.certificate.stated_bound.value < (run.true_risk or 0.0) for run in known), len(known)\n",
        "    return sum(run.certificate.stated_bound.value < 0 for run in known), len(known)\n",
        "tests/studies/test_section.py::test_bounds_below_a_known_risk_are_counted_and_said",
    ),
    Mutation(
        "a study shows a certificate of another run",
        "pacbound/studies/running.py",
        "        if named.message != certificate.message or named.data != certificate.data:\n",
        "        if False:\n",
        "tests/studies/test_running.py::test_a_certificate_of_another_run_is_not_shown_under_its_name",
    ),
    Mutation(
        "seeds of random labels share one sample",
        "pacbound/studies/catalogue.py",
        "            apart = SEED in arm.alteration\n",
        "            apart = False\n",
        "tests/studies/test_catalogue.py::test_twenty_samples_have_random_labels_of_known_risk",
    ),
    Mutation(
        "descent forgets its momentum where it is resumed",
        "pacbound/training/state.py",
        "        if kept:\n",
        '        if "step" in kept:\n',
        "tests/training/test_fit.py::test_descent_is_resumed_with_its_momentum",
    ),
    Mutation(
        "the split of delta is paid by one part only",
        "pacbound/certificate/composed.py",
        "    if other.bits != paid:\n",
        "    if False:\n",
        f"{COMPOSED}::test_each_forgery_is_caught_first_at_its_level",
    ),
    Mutation(
        "a part may have any share of delta",
        "pacbound/certificate/composed.py",
        "    if (one.delta, other.delta) not in delta_splits(delta):\n",
        "    if False:\n",
        f"{COMPOSED}::test_each_forgery_is_caught_first_at_its_level",
    ),
    Mutation(
        "the original may be theta0 of its own surrogate",
        "pacbound/certificate/composed.py",
        "        return base.checkpoint == original\n",
        "        return False\n",
        f"{COMPOSED}::test_each_forgery_is_caught_first_at_its_level",
    ),
    Mutation(
        "a surrogate may have a theta0 that was handed over",
        "pacbound/certificate/composed.py",
        "    return not drawn or model == OWN_NETWORK\n",
        "    return model == OWN_NETWORK\n",
        f"{COMPOSED}::test_each_forgery_is_caught_first_at_its_level",
    ),
    Mutation(
        "a surrogate may be of an architecture of one's own",
        "pacbound/certificate/composed.py",
        "    return not drawn or model == OWN_NETWORK\n",
        "    return not drawn\n",
        f"{COMPOSED}::test_each_forgery_is_caught_first_at_its_level",
    ),
    Mutation(
        "theta0 of a surrogate's split may start from values handed over",
        "pacbound/certificate/composed.py",
        " and base.split.start is None)\n",
        ")\n",
        f"{COMPOSED}::test_each_forgery_is_caught_first_at_its_level",
    ),
    Mutation(
        "theta0 of a surrogate's split learns what the original answers",
        "pacbound/methods/surrogate.py",
        'with_start(fixed(work, train, "subspace"),',
        'with_start(fixed(work, replace(train, y=answer(train.x) % train.classes), "subspace"),',
        f"{SURROGATE}::test_theta0_of_a_split_learns_the_labels_of_its_part_and_the_original_answers_for_the_rest_alone",
    ),
    Mutation(
        "verify lets unlabelled inputs stand among those that theta0 saw",
        "pacbound/verification/verification.py",
        "recheck_comparison(certificate, hypothesis, whole, given)",
        "recheck_comparison(certificate, hypothesis, examples, given)",
        f"{SURROGATE}::test_an_input_that_theta0_saw_among_the_unlabelled_is_refused_and_caught",
    ),
    Mutation(
        "nobody says that theta0 learned labels and no answers",
        "pacbound/certificate/accounting.py",
        '            ledger = ledger.declare("labels", OWN_LABELS)\n',
        "            pass\n",
        f"{SURROGATE}::test_a_surrogate_from_half_of_the_sample_stands_and_is_bounded_on_the_rest",
    ),
    Mutation(
        "nobody says that a checkpoint knows nothing of the unlabelled inputs",
        "pacbound/certificate/accounting.py",
        '            ledger = ledger.declare("apart", APART)\n',
        "            pass\n",
        f"{SURROGATE}::test_a_surrogate_may_start_from_a_disjoint_checkpoint_of_a_network_of_ones_own",
    ),
    Mutation(
        "the theta0 of another sample is taken over",
        "pacbound/pipeline/starting.py",
        'key = f"{split.whole} {split.seed}',
        'key = f"{split.seed}',
        "tests/pipeline/test_split.py::test_a_finished_theta0_is_not_trained_again",
    ),
    Mutation(
        "theta0 that follows the original is let in",
        "pacbound/methods/surrogate.py",
        "    if may_follow(setup.base.origin, setup.model, original):\n",
        "    if False:\n",
        f"{SURROGATE}::test_theta0_that_could_follow_the_original_is_refused",
    ),
    Mutation(
        "verify lets fewer disagreements than there are pass",
        "pacbound/verification/recount.py",
        "differing > part.differing else None",
        "differing < part.differing else None",
        f"{COMPOSED}::test_each_forgery_is_caught_first_at_its_level",
    ),
    Mutation(
        "verify does not hash the inputs one by one",
        "pacbound/verification/recount.py",
        "    common = overlap(examples.x, inputs.x)\n",
        "    common = 0\n",
        f"{COMPOSED}::test_inputs_that_stand_in_the_sample_are_caught_by_hashing",
    ),
    Mutation(
        "copies in a sample are let through",
        "pacbound/data/inputs.py",
        "    if too_many_repeats(n, distinct) and reason is None:\n",
        "    if False:\n",
        f"{REPEATS}::test_a_sample_of_copies_is_refused_before_training",
    ),
    Mutation(
        "copies may be nine in ten",
        "pacbound/specs/repeats.py",
        "    return MOST_REPEATS * (n - distinct) > n\n",
        "    return 10 * (n - distinct) > 9 * n\n",
        f"{REPEATS}::test_a_sample_of_copies_is_refused_before_training",
    ),
    Mutation(
        "copies with the sign of a zero turned are distinct",
        "pacbound/data/inputs.py",
        ".numpy() + np.float32(0)",
        ".numpy()",
        "tests/data/test_inputs.py::test_distinct_inputs_are_those_of_a_set_of_tuples",
    ),
    Mutation(
        "what theta0 saw may come back in the rest",
        "pacbound/pipeline/preparation.py",
        "    distinct = distinct_inputs(sample.x, None if split is None else split.first.x)\n",
        "    distinct = distinct_inputs(sample.x)\n",
        f"{REPEATS}::test_examples_that_theta0_saw_do_not_come_back_in_the_rest",
    ),
    Mutation(
        "copies of test examples are let through",
        "pacbound/pipeline/preparation.py",
        '        check_repeats(held_out.n, distinct_inputs(held_out.x), "test examples", request.repeats)\n',
        "        pass\n",
        f"{REPEATS}::test_copies_among_the_test_examples_are_refused_too",
    ),
    Mutation(
        "copies of unlabelled inputs are let through",
        "pacbound/methods/surrogate.py",
        '    check_repeats(inputs.m, distinct, "unlabelled inputs", repeats)\n',
        "",
        f"{SURROGATE}::test_copies_among_the_unlabelled_inputs_are_refused",
    ),
    Mutation(
        "verify believes the number of distinct inputs",
        "pacbound/verification/samples.py",
        "complaint=repeats if distinct != stated.distinct else None",
        "complaint=None",
        f"{REPEATS}::test_a_forger_who_drops_the_word_or_the_number_is_caught",
    ),
    Mutation(
        "a certificate may have copies without a word",
        "pacbound/certificate/checks.py",
        "    if why is None and too_many_repeats(n, distinct):\n",
        "    if False:\n",
        f"{REPEATS}::test_a_forger_who_drops_the_word_or_the_number_is_caught",
    ),
    Mutation(
        "the word for copies is no declaration",
        "pacbound/certificate/accounting.py",
        "    if repeats is not None:\n",
        "    if False:\n",
        f"{REPEATS}::test_the_users_word_stands_in_the_ledger_the_certificate_and_every_rendering",
    ),
    Mutation(
        "verify believes the errors on held-out examples",
        "pacbound/verification/recount.py",
        "complaint=more if recount.errors > stated.errors else None)",
        "complaint=None)",
        f"{HELD_OUT}::test_forged_held_out_figures_do_not_stand_beside_the_examples",
    ),
    Mutation(
        "verify counts on any held-out examples",
        "pacbound/verification/samples.py",
        "    if (examples.n, examples.digest()) != (stated.n, named.digest):\n",
        "    if False:\n",
        f"{HELD_OUT}::test_other_examples_in_their_place_do_not_stand",
    ),
    Mutation(
        "verify lets held-out examples stand in the sample",
        "pacbound/verification/samples.py",
        "    elif common := next(",
        "    elif False and next(",
        f"{HELD_OUT}::test_held_out_examples_of_the_sample_itself_do_not_stand",
    ),
    Mutation(
        "verify is silent about held-out errors that nobody counted again",
        "pacbound/verification/verification.py",
        "    if stated is not None and stated.held_out is not None and counted.held_out is None:\n",
        "    if False:\n",
        f"{HELD_OUT}::test_where_nobody_counted_them_again_that_is_said_with_the_figure",
    ),
    Mutation(
        "renderings are silent about who counted held-out errors",
        "pacbound/reports/show.py",
        "counts)}{BY_ITS_AUTHOR}; bound",
        "counts)}; bound",
        f"{HELD_OUT}::test_where_nobody_counted_them_again_that_is_said_with_the_figure",
    ),
    Mutation(
        "a comparison ranks what does not stand",
        "pacbound/reports/compare.py",
        "    sound = [(name, one) for name, one in certificates if name not in broken]\n",
        "    sound = list(certificates)\n",
        "tests/reports/test_compare.py::test_what_does_not_stand_is_in_no_ranking_though_it_states_the_smallest_bound",
    ),
    Mutation(
        "a difference is divided in one order only",
        "pacbound/reports/divided.py",
        "by_errors=(only_errors - start + end - only_bits) / 2",
        "by_errors=only_errors - start",
        "tests/reports/test_divided.py::test_the_parts_are_the_average_over_both_orders_and_add_up",
    ),
    Mutation(
        "the interval over seeds is that of one difference",
        "pacbound/reports/seeds.py",
        "statistics.stdev(gaps) / len(gaps) ** 0.5",
        "statistics.stdev(gaps)",
        "tests/reports/test_seeds.py::test_equal_seeds_are_compared_pair_by_pair_as_scipy_does",
    ),
    Mutation(
        "a finished certificate is overwritten",
        "cli/certify.py",
        '    refuse_to_overwrite(output, bool(options["force"]), "certify")\n',
        "",
        "tests/cli/test_everyday.py::test_a_certificate_is_not_overwritten_before_any_work_is_done",
    ),
    Mutation(
        "tuned data in another form pay nothing",
        "pacbound/certificate/tuned.py",
        "DIGESTS.get(digest, like)",
        "DIGESTS.get(digest)",
        f"{COUNTED}::test_tuned_data_in_another_form_pay_for_the_look_at_them",
    ),
    Mutation(
        "verify does not look whether data are tuned ones",
        "pacbound/verification/samples.py",
        "complaint=tuned if like != stated.like else None",
        "complaint=None",
        "tests/attacks/test_risk_forgeries.py::test_tuned_data_in_another_form_that_deny_it_are_caught_by_their_rows",
    ),
    Mutation(
        "brackets within text count as depth of a certificate",
        "pacbound/certificate/canonical.py",
        'NO_BRACKETS.sub("", text)',
        're.sub(r"[^][{}]", "", text)',
        "tests/certificate/test_canonical.py::test_brackets_inside_text_are_not_depth",
    ),
    Mutation(
        "text that does not print is looked for among escapes alone",
        "pacbound/certificate/canonical.py",
        'if "\\\\" in text or not text.replace("\\n", "").isprintable():',
        'if "\\\\" in text:',
        "tests/certificate/test_canonical.py::test_each_file_with_two_readings_is_refused_by_its_rule",
    ),
    Mutation(
        "one row that is far off hides tuned data",
        "pacbound/data/likeness.py",
        "_inverted, _each_by_itself):",
        "_inverted):",
        f"{LIKENESS}::test_digits_are_known_in_every_form",
    ),
    Mutation(
        "inverted pixels hide tuned data",
        "pacbound/data/likeness.py",
        "    for view in (_as_it_is, _inverted, _each_by_itself):\n",
        "    for view in (_as_it_is, _each_by_itself):\n",
        f"{LIKENESS}::test_digits_are_known_in_every_form",
    ),
    Mutation(
        "another scale hides what stands in both samples",
        "pacbound/data/inputs.py",
        "    return max(common, common_rows(x, other))\n",
        "    return common\n",
        "tests/data/test_inputs.py::test_inputs_in_both_are_found_in_another_form",
    ),
    Mutation(
        "a base may carry the fields of another kind",
        "pacbound/specs/specs.py",
        "        if foreign := given - needed - allowed:\n",
        "        if foreign := set():\n",
        f"{BASES}::test_a_base_has_exactly_the_fields_of_its_kind",
    ),
    Mutation(
        "a base may lack a field of its kind",
        "pacbound/specs/specs.py",
        "        if missing := needed - given:\n",
        "        if missing := set():\n",
        f"{BASES}::test_a_base_has_exactly_the_fields_of_its_kind",
    ),
    Mutation(
        "labelled and unlabelled samples may overlap",
        "pacbound/methods/surrogate.py",
        '    check_apart(train.x, inputs.x, "unlabelled")\n',
        "",
        f"{SURROGATE}::test_one_input_of_the_sample_among_the_unlabelled_is_refused",
    ),
    Mutation(
        "test examples may stand in the sample",
        "pacbound/pipeline/preparation.py",
        '        check_apart(sample.x, held_out.x, "test")\n',
        "        pass\n",
        "tests/pipeline/test_pipeline.py::test_test_examples_that_stand_in_the_sample_are_refused",
    ),
    Mutation(
        "test examples may stand among the unlabelled",
        "pacbound/methods/surrogate.py",
        '        check_apart(inputs.x, test.x, "test", "unlabelled inputs")\n',
        "",
        f"{SURROGATE}::test_one_example_of_the_sample_or_the_unlabelled_among_the_test_examples_is_refused",
    ),
    Mutation(
        "buffers of a seeded network are free",
        "pacbound/networks/hypothesis.py",
        "        if name not in constants:\n",
        "        if False:\n",
        "tests/pipeline/test_pipeline.py::test_no_buffer_of_any_type_enters_a_seeded_network_without_a_word",
    ),
    Mutation(
        "listed buffers carry no digest",
        "pacbound/networks/hypothesis.py",
        "    return tensors_digest(kept) if kept else None\n",
        "    return None\n",
        "tests/pipeline/test_pipeline.py::test_a_listed_buffer_is_declared_and_pinned",
    ),
    Mutation(
        "verify counts by a loss that the caller brings",
        "pacbound/verification/recount.py",
        "    return stated.loss if known_loss(stated) or given.loss is None else given.loss\n",
        "    return stated.loss if given.loss is None else given.loss\n",
        "tests/attacks/test_risk_forgeries.py"
        "::test_a_loss_with_a_name_of_this_package_is_counted_by_it_and_not_by_whoever_brings_another",
    ),
    Mutation(
        "verify does not compare the number of classes",
        "pacbound/verification/samples.py",
        "    elif examples.classes != stated.classes:\n",
        "    elif False:\n",
        "tests/attacks/test_risk_forgeries.py"
        "::test_more_classes_than_the_sample_has_would_hide_a_vacuous_bound_and_are_caught",
    ),
    Mutation(
        "the official test split stands beside weights that are handed over",
        "pacbound/pipeline/preparation.py",
        "    elif untouched and isinstance(train, str)",
        "    elif isinstance(train, str)",
        "tests/pipeline/test_pipeline.py::test_the_official_test_split_stands_only_beside_a_network_that_nobody_trained",
    ),
    Mutation(
        "earlier looks at the inputs are not paid",
        "pacbound/certificate/accounting.py",
        "(self.m + 1) ** (self.looks - 1)",
        "1",
        f"{SURROGATE}::test_both_parts_pay_for_the_split_and_the_looks",
    ),
    Mutation(
        "the last pass alone says on what two networks differ",
        "pacbound/networks/original.py",
        "differing[here.rows] |= ",
        "differing[here.rows] = ",
        f"{SURROGATE}::test_inputs_on_which_the_networks_differ_in_any_pass_count",
    ),
    Mutation(
        "two ties count as agreement",
        "pacbound/networks/original.py",
        "|= (one != other) | (one < 0)",
        "|= one != other",
        f"{SURROGATE}::test_near_ties_and_broken_numbers_of_either_network_count_as_differing",
    ),
    Mutation(
        "errors of the surrogate are counted on the answers of the original",
        "pacbound/methods/surrogate.py",
        "    return replace(setup, targets=",
        "    return replace(setup, train=replace(setup.train, y=targets), targets=",
        f"{SURROGATE}::test_the_original_steers_the_encoder_and_nothing_that_is_fixed_before",
    ),
    Mutation(
        "shares of delta rounded up",
        "pacbound/bounds/disagreement.py",
        "math.nextafter(nearest, 0.0)",
        "nearest",
        "tests/bounds/test_disagreement.py::test_sixteen_different_splits_each_add_up_to_delta_at_most",
    ),
    Mutation(
        "being the best of a list of methods is not paid",
        "pacbound/certificate/accounting.py",
        "    if methods > 1:\n",
        "    if False:\n",
        "tests/methods/test_auto.py::test_every_method_of_the_list_pays_for_being_chosen_from_it",
    ),
    Mutation(
        "the orbit saving rounded up",
        "pacbound/bits/units.py",
        "return coded_arrays(spec, symbols).orders().bit_length() - 1",
        "return coded_arrays(spec, symbols).orders().bit_length()",
        f"{UNITS}::test_duplicated_units_save_less",
    ),
    Mutation(
        "equal units are counted as different",
        "pacbound/bits/units.py",
        " // math.prod(math.factorial(int(run)) for run in runs)",
        "",
        f"{UNITS}::test_masses_of_what_may_be_sent_sum_to_the_mass_of_each_orbit_and_to_one_in_all",
    ),
    Mutation(
        "units in any order claim the saving",
        "pacbound/bits/units.py",
        "                if (steps < 0).any():\n",
        "                if False:\n",
        f"{DIRECT_FORGERIES}::test_units_out_of_order_are_caught_since_every_order_would_claim_the_same_mass",
    ),
    Mutation(
        "signatures look at what later groups will move",
        "pacbound/bits/units.py",
        "np.flatnonzero(turn < j)",
        "np.flatnonzero(turn != j)",
        f"{UNITS}::test_equal_stem_rows_with_identity_blocks_claim_one_order_of_the_two_that_concatenation_would",
    ),
    Mutation(
        "blocks, whose scales belong to places, save too",
        "pacbound/bits/units.py",
        "        return not isinstance(self.spec.tensors[tensor].coding, BlockTensor)\n",
        "        return True\n",
        f"{UNITS}::test_blocks_have_no_saving_since_their_scales_belong_to_places",
    ),
    Mutation(
        "the orbit saving is taken twice",
        "pacbound/certificate/accounting.py",
        "ledger.charge(ORBIT_ITEM, -saving_bits, ",
        "ledger.charge(ORBIT_ITEM, -2 * saving_bits, ",
        f"{DIRECT_FORGERIES}::test_the_honest_code_stands_at_every_level_and_without_any_weights",
    ),
    Mutation(
        "scales of blocks are not charged",
        "pacbound/bits/tensors.py",
        "SCALE_TABLE = np.full(1 << 16, TOTAL >> 16, np.int64)",
        "SCALE_TABLE = np.concatenate([[TOTAL - 65535], np.ones(65535)]).astype(np.int64)",
        "tests/bits/test_tensors.py::test_bits_are_those_of_the_tables_and_of_sixteen_for_each_scale",
    ),
    Mutation(
        "kept units are believed, not sent",
        "pacbound/bits/tensors.py",
        "        kept = _code_kept(stream, group.size, None if spec is None else spec.groups[k].kept)\n",
        "        kept = group.kept\n",
        "tests/bits/test_tensors.py::test_declared_kinds_and_kept_units_are_not_believed",
    ),
    Mutation(
        "groups are not compared with those of the network",
        "pacbound/verification/recount.py",
        "    if found == stated:\n",
        "    if True:\n",
        f"{DIRECT_FORGERIES}::test_groups_that_the_network_does_not_have_are_caught_when_it_is_rebuilt",
    ),
    Mutation(
        "a layer's own reset decides which statistics survive a seed",
        "pacbound/networks/hypothesis.py",
        '                    buffer.fill_(1 if name == "running_var" else 0)\n',
        "                    part.reset_running_stats()\n",
        "tests/networks/test_hypothesis.py::test_statistics_are_renewed_whatever_a_layer_makes_of_its_reset",
    ),
    Mutation(
        "a base of zeros keeps what the module held",
        "pacbound/networks/hypothesis.py",
        "        parameter.detach().zero_()\n",
        "        pass\n",
        "tests/methods/direct/test_weights.py::test_a_base_of_zeros_holds_nothing_of_the_module",
    ),
    Mutation(
        "a measure of Bartlett's takes the harmonic sum for the logarithm",
        "pacbound/measures/rademacher/comparisons.py",
        "_log(12) + _log(_log(n))",
        "_log(12) + _log(_log(n) + 0.577)",
        f"{COMPARISONS}::test_the_norm_bound_without_ceilings_is_the_worked_number",
    ),
    Mutation(
        "a measure of Golowich's normalises the data twice",
        "pacbound/measures/rademacher/comparisons.py",
        "+ _log(sample.column) - _log(n) / 2",
        "+ _log(sample.column) - _log(n)",
        f"{COMPARISONS}::test_every_quantity_is_its_formula_on_a_strided_chain",
    ),
    Mutation(
        "the measure of symmetry is given although a step was not followed",
        "pacbound/measures/covering/symmetry.py",
        "    if found.doubts:\n",
        "    if False:\n",
        f"{COVERING}::test_a_step_that_nobody_follows_is_refused_by_name",
    ),
    Mutation(
        "a cover on the sample is counted at half the norm of the data",
        "pacbound/measures/covering/sample_covers.py",
        "1.0, Fraction(1))",
        "1.0, Fraction(1, 4))",
        "tests/measures/covering/test_sample_covers.py::test_one_layer_is_a_count_of_multisets",
    ),
    Mutation(
        "an activation on some units is not told apart from none",
        "pacbound/models/walk.py",
        "return Labels(entering.unit, self.notes.roles.fresh(entering.role))",
        "return entering",
        f"{SYMMETRY}::test_the_order_is_the_number_of_permutations_that_keep_the_function",
    ),
    Mutation(
        "rows that become channels keep their units",
        "pacbound/models/notes.py",
        "        self.units.fix(rows.unit[mixed])\n",
        "",
        f"{SYMMETRY}::test_the_order_is_the_number_of_permutations_that_keep_the_function",
    ),
    Mutation(
        "constants that differ between units are taken for the same",
        "pacbound/models/labels.py",
        "return torch.tensor(numbers, dtype=torch.int64)[place]",
        "return torch.zeros_like(place)",
        f"{SYMMETRY}::test_the_order_is_the_number_of_permutations_that_keep_the_function",
    ),
    Mutation(
        "units whose roles cannot be told apart change places",
        "pacbound/models/interchange.py",
        "(sorted(walk.notes.units.doubled()), ",
        "([], ",
        f"{SYMMETRY}::test_where_there_may_be_more_it_is_said_and_nothing_wrong_is_claimed",
    ),
    Mutation(
        "a tensor may be overwritten behind the name of another step",
        "pacbound/models/walk.py",
        "if self.env[m]._version != version and",
        "if False and",
        f"{SYMMETRY}::test_where_there_may_be_more_it_is_said_and_nothing_wrong_is_claimed",
    ),
    Mutation(
        "weights that are used twice are followed to one place",
        "pacbound/models/interchange.py",
        "walk.uses[place.tensor] > 1]",
        "walk.uses[place.tensor] > 9]",
        f"{SYMMETRY}::test_where_there_may_be_more_it_is_said_and_nothing_wrong_is_claimed",
    ),
    Mutation(
        "a hook on a layer is not looked at",
        "pacbound/models/steps.py",
        " and not any(hooks)",
        "",
        f"{SYMMETRY}::test_nothing_is_claimed_where_modules_do_what_nobody_sees",
    ),
    Mutation(
        "a layer whose forward was replaced is taken for what its class says",
        "pacbound/models/steps.py",
        '"forward" not in vars(module)',
        "True",
        f"{SYMMETRY}::test_nothing_is_claimed_where_modules_do_what_nobody_sees",
    ),
    Mutation(
        "a network is not compared with its trace",
        "pacbound/models/units.py",
        "    if not same:\n",
        "    if False:\n",
        f"{SYMMETRY}::test_nothing_is_claimed_where_modules_do_what_nobody_sees",
    ),
    Mutation(
        "groups of units are not tried on the network",
        "pacbound/models/units.py",
        "        if all(_close(one, other, tolerance) for one, other in pairs):\n",
        "        if True:\n",
        "tests/models/test_units.py::test_a_group_that_changes_the_function_is_refused",
    ),
    Mutation(
        "a measure takes a mean for the identity in the maximum norm",
        "pacbound/measures/layers/chains.py",
        "self.maximum * fixed.maximum",
        "self.maximum * euclidean",
        "tests/measures/layers/test_lipschitz.py::test_a_mean_that_is_scaled_up_is_not_taken_for_the_identity",
    ),
    Mutation(
        "a measure believes a trace that differs from the network",
        "pacbound/measures/layers/agreement.py",
        "    if not isinstance(expected, Tensor) or found.shape != expected.shape:\n        return False\n",
        "    return True\n",
        f"{AGREEMENT}::test_what_a_trace_misses_is_a_refusal",
    ),
    Mutation(
        "a measure runs recorded steps with their writes through views",
        "pacbound/measures/layers/agreement.py",
        "    return value.clone() if isinstance(value, Tensor) else value\n",
        "    return value\n",
        f"{AGREEMENT}::test_what_a_trace_misses_is_a_refusal",
    ),
    Mutation(
        "numbers read from the data are constants of a measure",
        "pacbound/measures/layers/readings.py",
        "            if not tensors and value is not None and name not in FORMS and not self.found:\n",
        "            if False:\n",
        f"{AGREEMENT}::test_what_a_trace_misses_is_a_refusal",
    ),
    Mutation(
        "hooks of a network are not looked for",
        "pacbound/measures/layers/layers.py",
        "    refusal = blame(own) or walk.failure or ",
        "    refusal = walk.failure or ",
        f"{AGREEMENT}::test_hooks_and_replaced_forwards_are_named",
    ),
    Mutation(
        "a slope above the Lipschitz constant is let pass",
        "pacbound/measures/rademacher/rademacher.py",
        "    if found > 0 and math.log10(found) > log10_constant + SLACK:\n",
        "    if False:\n",
        f"{AGREEMENT}::test_a_slope_above_the_constant_is_refused",
    ),
    Mutation(
        "the class behind a standardisation reads the data before it",
        "pacbound/measures/rademacher/rademacher.py",
        "    x, gamma = whole.entering(data[0]), ",
        "    x, gamma = data[0], ",
        f"{AGREEMENT}::test_standardised_inputs_are_measured_behind_the_standardisation",
    ),
    Mutation(
        "learned slopes of activations belong to a class of fixed ones",
        "pacbound/measures/rademacher/capacity.py",
        "    if trained.slopes:\n",
        "    if False:\n",
        f"{AGREEMENT}::test_a_prelu_has_its_steepest_slope_and_no_class",
    ),
    Mutation(
        "weights are redundant twice",
        "pacbound/measures/redundancy/dimension.py",
        "            left[node] -= cut\n",
        "            pass\n",
        f"{REDUNDANCY}::test_the_dimension_lies_between_nothing_and_all_weights",
    ),
    Mutation(
        "the simulated error of a low-rank layer is that of a full one",
        "pacbound/measures/redundancy/simulating.py",
        "    return min(found, key=lambda one: one[0])[1]\n",
        "    return spectral.ravel()\n",
        "tests/measures/redundancy/test_simulating.py::test_the_low_rank_is_used",
    ),
    Mutation(
        "one measure of a network that fails loses all others",
        "pacbound/measures/measuring.py",
        '                with failures("measure"):\n                    for one',
        "                if True:\n                    for one",
        "tests/measures/test_measuring.py::test_a_measure_that_fails_loses_no_other",
    ),
    Mutation(
        "ranges read off the sample are not paid for in a covering bound",
        "pacbound/measures/guarantees.py",
        "    nats = place_nats(grid_index(reach)) + _family_nats(family) + ",
        "    nats = ",
        "tests/measures/test_guarantees.py::test_the_covering_bound_pays_for_its_lists_and_its_ranges",
    ),
    Mutation(
        "norms read off the sample are not paid for in a Tucker bound",
        "pacbound/measures/guarantees.py",
        "    nats = sum(place_nats(grid_index(scale)) for scale in scales) + ",
        "    nats = ",
        "tests/measures/test_guarantees.py::test_the_tucker_bound_is_its_formula_with_every_choice_paid",
    ),
    Mutation(
        "the tangent kernel reads the first examples",
        "pacbound/measures/ntk/ntk.py",
        "            chosen = stratified(labels, points)\n",
        "            chosen = torch.arange(points)\n",
        "tests/measures/ntk/test_ntk.py::test_sorted_classes_are_all_represented",
    ),
    Mutation(
        "the noise of a draw does not depend on its posterior",
        "pacbound/certificate/draw.py",
        'b"|".join([raw, DRAW_FORMAT.encode(), ',
        'b"|".join([DRAW_FORMAT.encode(), ',
        f"{DRAW_FORGERIES}::test_a_mean_shifted_by_known_noise_gets_other_noise",
    ),
    Mutation(
        "the density ratio forgets the scale of the prior",
        "pacbound/certificate/draw.py",
        " - d * octaves * arb(2).log()",
        "",
        f"{DRAW}::test_the_exponential_moment_behind_the_theorem_is_met_almost_with_equality",
    ),
    Mutation(
        "earlier draws are not paid",
        "pacbound/certificate/accounting.py",
        'ledger.choice("draws", index * (index + 1), ',
        'ledger.choice("draws", 2, ',
        f"{DRAW_FORGERIES}::test_the_honest_draw_stands_at_every_level_and_says_what_it_rests_on",
    ),
    Mutation(
        "a choice is not paid: defaults tuned on the data",
        "pacbound/certificate/accounting.py",
        "    if tuned:\n",
        "    if ():\n",
        f"{COUNTED}::test_defaults_tuned_on_a_data_set_cost_eight_bits_there_and_nothing_elsewhere",
    ),
    Mutation(
        "no bits are paid at all",
        "pacbound/pipeline/finish.py",
        "ledger.bits, setup.request.delta)\n    return Finished",
        "0, setup.request.delta)\n    return Finished",
        f"{COUNTED}::test_the_bound_is_that_of_all_bits_in_the_ledger",
    ),
    Mutation(
        "no bits are paid at all, seen by the risks alone",
        "pacbound/pipeline/finish.py",
        "ledger.bits, setup.request.delta)\n    return Finished",
        "0, setup.request.delta)\n    return Finished",
        "tests/soundness/test_pipeline_coverage.py::test_what_training_gains_on_noise_is_given_back_by_the_bits",
    ),
    Mutation(
        "batch normalisation in train mode",
        "pacbound/networks/hypothesis.py",
        "self._module = private_copy(base.module)",
        "self._module = private_copy(base.module).train()",
        f"{COUNTED}::test_batch_normalisation_answers_by_its_frozen_statistics_not_by_the_batch",
    ),
    Mutation(
        "dropout in train mode",
        "pacbound/networks/hypothesis.py",
        "self._module = private_copy(base.module)",
        "self._module = private_copy(base.module).train()",
        f"{COUNTED}::test_dropout_is_off_where_errors_are_counted",
    ),
    Mutation(
        "answers that depend on the batch are let through",
        "pacbound/networks/passes.py",
        "    if count > (max(1, int(shaky * len(differing))) if shaky else 0):\n",
        "    if False:\n",
        f"{COUNTED}::test_a_network_whose_answers_depend_on_the_batch_is_refused",
    ),
    Mutation(
        "answers may differ by more than half a tie margin",
        "pacbound/networks/passes.py",
        "<= margin / 2)",
        "<= margin)",
        f"{PASSES}::test_rounding_that_differs_between_batches_passes_and_half_a_tie_margin_is_the_limit",
    ),
    Mutation(
        "an answer that company changes is no error",
        "pacbound/networks/risk.py",
        " & ~reading.shaky\n",
        "\n",
        f"{PASSES}::test_few_answers_that_company_changes_are_errors_and_then_all_are_asked_alone",
    ),
    Mutation(
        "where company changes an answer the others are not asked alone",
        "pacbound/networks/passes.py",
        "    if bool(found.any()):\n",
        "    if False:\n",
        f"{PASSES}::test_few_answers_that_company_changes_are_errors_and_then_all_are_asked_alone",
    ),
    Mutation(
        "the early check asks every input alone",
        "pacbound/networks/passes.py",
        "    x = x[: batch_for(network, x)]\n",
        "    x = x[:1]\n",
        f"{PASSES}::test_the_early_check_asks_a_batch_in_company",
    ),
    Mutation(
        "a network is asked about a batch of nothing",
        "pacbound/networks/passes.py",
        " if len(chosen) else ()",
        "",
        f"{PASSES}::test_of_few_inputs_one_that_company_changes_is_an_error_and_no_empty_batch_is_asked",
    ),
    Mutation(
        "only the first batch is asked twice",
        "pacbound/networks/passes.py",
        "    yield from again(order, batch * OTHER_BATCH // BATCH)\n    yield from again(alone[:ALONE], 1)\n",
        "",
        f"{PASSES}::test_every_input_is_asked_in_order_then_in_another_order_and_many_alone",
    ),
    Mutation(
        "numbers that are finite in one pass only are let through",
        "pacbound/networks/passes.py",
        "torch.isfinite(here).all(1) != torch.isfinite(there).all(1))",
        "torch.zeros_like(finite))",
        f"{PASSES}::test_what_depends_on_the_other_inputs_is_refused_wherever_it_shows",
    ),
    Mutation(
        "the last pass alone is counted",
        "pacbound/networks/risk.py",
        "        worst[rows] = torch.maximum(worst[rows], torch.where(certain, losses, 1.0))\n",
        "        worst[rows] = torch.where(certain, losses, 1.0)\n",
        f"{PASSES}::test_an_example_that_any_pass_gets_wrong_is_an_error",
    ),
    Mutation(
        "a loss may look at the other examples",
        "pacbound/networks/risk.py",
        "            if bool(((again - first[rows]).abs() > LOSS_NOISE).any()):\n",
        "            if False:\n",
        f"{PASSES}::test_a_loss_that_depends_on_other_examples_is_refused",
    ),
    Mutation(
        "risk on augmented data",
        "pacbound/networks/passes.py",
        "        return torch.cat([ask(network, x[asked]) for asked in rows.split(batch)])\n",
        "        return torch.cat([ask(network, x[asked] * 0.9) for asked in rows.split(batch)])\n",
        f"{COUNTED}::test_the_errors_are_those_of_the_network_rebuilt_by_hand",
    ),
    Mutation(
        "the last batch is dropped",
        "pacbound/networks/passes.py",
        "_answers(network, x, torch.arange(n), batch",
        "_answers(network, x, torch.arange(n - n % batch or n), batch",
        f"{PASSES}::test_every_input_is_asked_in_order_then_in_another_order_and_many_alone",
    ),
    Mutation(
        "a weight counts as a result of each input",
        "pacbound/networks/passes.py",
        "max((after - before for before, after in zip(one, two, strict=False)), default=0)",
        "max(two, default=0)",
        f"{PASSES}::test_inputs_that_make_large_results_are_asked_about_a_few_at_a_time",
    ),
    Mutation(
        "pictures of the same bytes are one sample whatever their sizes",
        "pacbound/data/examples.py",
        'np.array(picture.shape, dtype="<i8").tobytes() + picture',
        "picture",
        f"{MIXED}::test_the_same_bytes_in_another_shape_are_another_sample",
    ),
    Mutation(
        "pictures of several sizes are never taken for tuned data",
        "pacbound/data/likeness.py",
        "        x = x[x.sizes[x.rows].prod(1) * x.channels <= SMALL]\n",
        "        return None\n",
        f"{MIXED}::test_tuned_data_are_known_among_pictures_of_other_sizes",
    ),
    Mutation(
        "a picture of another size stands in for one that changed",
        "pacbound/data/mixed.py",
        "            if tuple(picture.shape[1:]) != tuple(self.sizes[row]):\n",
        "            if False:\n",
        f"{MIXED}::test_a_picture_that_changes_is_refused",
    ),
    Mutation(
        "pictures that stand in both samples are not found where their axes are turned",
        "pacbound/data/likeness.py",
        "    if isinstance(x, Pictures):\n        yield from (view(",
        "    if isinstance(x, Pictures):\n        yield from (0 * view(",
        f"{MIXED}::test_copies_are_found_in_and_between_samples",
    ),
    Mutation(
        "what a module holds is not looked at",
        "pacbound/networks/hypothesis.py",
        "    refuse_hidden(module)\n",
        "",
        f"{HIDDEN}::test_what_a_network_holds_elsewhere_is_refused_by_its_path",
    ),
    Mutation(
        "hooks are let through",
        "pacbound/networks/hidden.py",
        "            if hooks := getattr(part, name, None):\n",
        "            if hooks := None:\n",
        f"{HIDDEN}::test_what_a_network_holds_elsewhere_is_refused_by_its_path",
    ),
    Mutation(
        "forwards replaced on instances are let through",
        "pacbound/networks/hidden.py",
        "            if callable(value) and callable(getattr(type(part), name, None)):\n",
        "            if False:\n",
        f"{HIDDEN}::test_what_a_network_holds_elsewhere_is_refused_by_its_path",
    ),
    Mutation(
        "globals of a forward are not looked at",
        "pacbound/networks/hidden.py",
        'for name in spoken["GLOBAL"] if',
        "for name in () if",
        f"{HIDDEN}::test_what_a_network_holds_elsewhere_is_refused_by_its_path",
    ),
    Mutation(
        "a class is of torch because it says so",
        "pacbound/networks/hidden.py",
        "    return found is kind\n",
        "    return True\n",
        f"{HIDDEN}::test_a_class_that_says_it_belongs_to_torch_is_looked_at_all_the_same",
    ),
    Mutation(
        "constants of the traced program are not counted",
        "pacbound/networks/rebuilt.py",
        "            constants += getattr(program, node.target).numel()\n",
        "            pass\n",
        f"{REBUILT}::test_what_a_forward_reads_besides_parameters_stands_in_its_program",
    ),
    Mutation(
        "numbers among the arguments of operators are not counted",
        "pacbound/networks/rebuilt.py",
        "or len(literals) > MAX_LITERALS:",
        "or False:",
        f"{REBUILT}::test_what_a_forward_reads_besides_parameters_stands_in_its_program",
    ),
    Mutation(
        "the program is not compared with the network in large batches",
        "pacbound/networks/rebuilt.py",
        "    if batch > 1 and len(rows) >= batch:",
        "    if False:",
        f"{REBUILT}::test_what_a_forward_reads_besides_parameters_stands_in_its_program",
    ),
    Mutation(
        "a large network is never asked in large batches",
        "pacbound/networks/rebuilt.py",
        "run(named, rows)[:few], ",
        "run(named, rows[:few]), ",
        f"{REBUILT}::test_a_large_network_is_asked_less_but_still_in_batches_as_large_as_those_of_a_count",
    ),
    Mutation(
        "what cannot be traced passes for seeded",
        "pacbound/networks/rebuilt.py",
        "        if not required:\n",
        "        if True:\n",
        f"{REBUILT}::test_what_a_forward_reads_besides_parameters_stands_in_its_program",
    ),
    Mutation(
        "untrained networks may know the labels",
        "pacbound/networks/rebuilt.py",
        "    if seeded:\n",
        "    if False:\n",
        f"{REBUILT}::test_untrained_networks_that_know_the_labels_are_refused_whatever_the_way",
    ),
    Mutation(
        "one lucky draw condemns a network",
        "pacbound/networks/rebuilt.py",
        "        known = bits >= NEVER_BITS\n",
        "        known = bits >= 0.5\n",
        f"{REBUILT}::test_a_network_that_classes_separate_by_luck_in_one_draw_is_not_refused",
    ),
    Mutation(
        "a forward may remember what it was asked",
        "pacbound/networks/rebuilt.py",
        "    check_memory(base.module, x[:few], at_once)\n",
        "",
        f"{REBUILT}::test_a_forward_that_remembers_is_refused",
    ),
    Mutation(
        "an original may remember what it was asked",
        "pacbound/networks/original.py",
        "            check_memory(unasked, ",
        "            check_memory(nn.Identity(), ",
        "tests/methods/test_surrogate.py::test_an_original_that_remembers_what_it_was_asked_is_refused",
    ),
    Mutation(
        "a loss is asked in company first",
        "pacbound/networks/risk.py",
        "losses_by(1 if name == CUSTOM else batch, ",
        "losses_by(batch, ",
        "tests/networks/test_loss.py::test_a_loss_that_remembers_counts_what_it_said_alone",
    ),
    Mutation(
        "a loss is asked in company where candidates are ranked",
        "pacbound/pipeline/finish.py",
        "    one = 1 if name == CUSTOM else len(x)",
        "    one = len(x)",
        "tests/networks/test_loss.py::test_a_loss_that_remembers_is_asked_about_each_example_alone_first",
    ),
    Mutation(
        "the best by one pass is issued, whatever the whole count finds",
        "pacbound/pipeline/finish.py",
        "        if best and not first(partial(operator.lt, once[place], _order(best[0]))):\n",
        "        if best:\n",
        "tests/pipeline/test_pipeline.py::test_the_smallest_bound_among_the_candidates_and_w_zero_is_issued",
    ),
    Mutation(
        "verify does not test the promise of a seed",
        "pacbound/verification/recount.py",
        "        check_promise(base, examples, certificate.hypothesis.preprocess)\n",
        "",
        "tests/verification/test_hidden_state.py::test_verify_refuses_a_network_that_holds_what_no_seed_renews",
    ),
    Mutation(
        "lattices of other tensors are taken for those of the network",
        "pacbound/networks/hypothesis.py",
        "        _check_sizes(base.layout, spec.quantizer)\n",
        "        pass\n",
        "tests/training/test_weights.py::test_lattices_of_other_tensors_of_the_same_total_are_refused",
    ),
    Mutation(
        "the steps of tensors are not paid",
        "pacbound/bits/weights.py",
        "        step = code_near(stream, item, why, step, None if sent is None else sent.step_index)\n",
        "        step = of.step_index or 0\n",
        "tests/bits/test_weights.py::test_a_receiver_rebuilds_every_weight_and_its_ledger",
    ),
    Mutation(
        "tiles are mixed by factors that make rows coincide",
        "pacbound/subspace/transforms.py",
        "_TILE_FACTOR, _TILE_ORDERS = 64, 8 ",
        "_TILE_FACTOR, _TILE_ORDERS = 16, 8 ",
        f"{PROJECTORS}::test_tiled_fastfood_is_its_definition_written_out",
    ),
    Mutation(
        "all tiles see one order of the mixed numbers",
        "pacbound/subspace/transforms.py",
        'f"tiled/order {k}"',
        '"tiled/order 0"',
        f"{PROJECTORS}::test_tiled_fastfood_gives_weights_a_multiple_of_its_tile_apart_more_than_one_group_of_numbers",
    ),
    Mutation(
        "the adjoint of tiles takes their orders for their reverses",
        "pacbound/subspace/transforms.py",
        "mixed.gather(2, self._reverse.expand_as(mixed))",
        "mixed.gather(2, self._order.expand_as(mixed))",
        "tests/subspace/test_projector_contract.py::test_adjoint_is_the_transpose_of_project",
    ),
    Mutation(
        "the directions that move the outputs least are taken for the leading ones",
        "pacbound/subspace/ekfac.py",
        "np.argsort(-weight.numpy()",
        "np.argsort(weight.numpy()",
        "tests/subspace/test_ekfac.py::test_directions_hold_more_of_what_moves_the_outputs_than_random_ones",
    ),
    Mutation(
        "directions are those of what theta0 was when the network was first asked",
        "pacbound/subspace/ekfac.py",
        "replace(start, theta0=start.theta0.clone())",
        "start",
        "tests/subspace/test_ekfac.py::test_directions_are_found_once_for_one_network_and_anew_for_other_numbers",
    ),
    Mutation(
        "the scale of layers is forgotten when directions are looked for",
        "pacbound/subspace/ekfac.py",
        "yield rows if start.scale is None else rows * start.scale.double()",
        "yield rows",
        "tests/subspace/test_ekfac.py::test_it_follows_theta0_and_the_scale_of_layers",
    ),
    Mutation(
        "leading directions are the default however few others there are",
        "pacbound/pipeline/preparation.py",
        "2 * d <= base.layout.D <= MAX_LED",
        "d <= base.layout.D <= MAX_LED",
        "tests/pipeline/test_default_projector.py::test_at_most_half_of_all_directions_are_leading_ones",
    ),
    Mutation(
        "the shape of an input is taken from the certificate and not from the message",
        "pacbound/bits/message.py",
        "shape = tuple(1 + stream.gamma(item, why, None if sent is None else sent[k] - 1) for k in range(sides))",
        "shape = (1,)",
        "tests/pipeline/test_pipeline.py::test_another_shape_of_inputs_in_the_record_is_not_what_the_message_says",
    ),
    Mutation(
        "lattices of all weights pass for a code of another space",
        "pacbound/specs/specs.py",
        "self.projector != every_weight(self.quantizer.parameters):\n",
        "self.projector is None:\n",
        "tests/bits/test_weights.py::test_lattices_take_the_whole_space_and_no_other_code",
    ),
    Mutation(
        "what is sent of a tensor of zeros is lost unseen",
        "pacbound/bits/weights.py",
        "            found.append(np.full(lattice.size, REACH, np.int32))\n",
        "            found.append(np.full(lattice.size, REACH, np.int32) if sent is None else sent)\n",
        "tests/bits/test_weights.py::test_a_symbol_in_a_tensor_of_zeros_is_refused",
    ),
    Mutation(
        "the undecoded coefficients are evaluated",
        "pacbound/networks/hypothesis.py",
        "    return dequantize(symbols, 0 if spec.code is None else spec.code.levels, spec.quantizer)\n",
        "    return dequantize(symbols, spec.code.levels if spec.code else 0, spec.quantizer) + np.float32(0.01)\n",
        f"{COUNTED}::test_the_errors_are_those_of_the_network_rebuilt_by_hand",
    ),
    Mutation(
        "near ties are not counted as errors",
        "pacbound/networks/passes.py",
        "TIE = 1e-4 ",
        "TIE = 0.0 ",
        f"{COUNTED}::test_near_ties_count_as_errors_so_that_another_machine_finds_no_more",
    ),
    Mutation(
        "best of 50 seeds unpaid: the seed is believed, not sent",
        "pacbound/bits/message.py",
        "    seed = stream.gamma(BASE, WHY_BASE, None if base is None else base.seed)\n",
        "    seed = declared.seed\n",
        f"{COUNTED}::test_a_seed_is_paid_for_so_that_the_best_of_fifty_is_no_gift",
    ),
    Mutation(
        "examples may change between training and counting",
        "pacbound/pipeline/finish.py",
        "        if best[0].risk.data_digest != setup.digest:\n",
        "        if False:\n",
        f"{COUNTED}::test_examples_that_change_while_training_are_refused",
    ),
    Mutation(
        "another network passes for the one certified",
        "pacbound/networks/hypothesis.py",
        "        if base.layout.digest != spec.layout_digest:\n",
        "        if False:\n",
        "tests/attacks/test_risk_forgeries.py"
        "::test_a_layout_that_is_not_that_of_the_network_is_caught_when_it_is_rebuilt",
    ),
    Mutation(
        "another theta0 passes for the one certified",
        "pacbound/networks/hypothesis.py",
        "        if base.origin != spec.base:\n",
        "        if False:\n",
        f"{COUNTED}::test_a_certificate_of_the_pipeline_stands_at_every_level",
    ),
    Mutation(
        "theta0 digested without what is frozen",
        "pacbound/networks/hypothesis.py",
        "    hasher.update(frozen_digest(module).encode())\n",
        "",
        "tests/networks/test_hypothesis.py::test_values_are_digested_with_everything_that_is_frozen",
    ),
    Mutation(
        "a walk on arrays keeps a step that pairs do not prove",
        "pacbound/bounds/walks.py",
        "proved, refuted = least > 0.0, most < 0.0",
        "proved, refuted = least > -1e-6, most < -1e-6",
        "tests/bounds/test_together.py::test_a_theorem_on_arrays_is_the_theorem_at_each_place",
    ),
    Mutation(
        "a sum on arrays is not rounded up",
        "pacbound/bounds/walks.py",
        "sums = (total[ended] + remainder) * (1.0 + 8.0 * (i + 8) * UNIT)",
        "sums = total[ended] + remainder",
        "tests/bounds/test_together.py::test_a_theorem_on_arrays_is_the_theorem_at_each_place",
    ),
    Mutation(
        "inner end of the binomial inversion",
        "pacbound/bounds/inversion.py",
        "level / n), BELOW_ONE), outside)\n",
        "level / n), BELOW_ONE), outside) * (1 - 1e-9)\n",
        f"{INVERSION}::test_binomial_inverse_is_sandwiched_at_real_sizes",
    ),
    Mutation(
        "inner end of the kl inversion",
        "pacbound/bounds/inversion.py",
        "        return _outer_root(_above_kl_root(float(q), float(c)), outside)\n",
        "        return _outer_root(_above_kl_root(float(q), float(c)), outside) * (1 - 1e-9)\n",
        f"{INVERSION}::test_kl_inverse_returns_the_outer_end",
    ),
    Mutation(
        "an inversion keeps the last step, proved or not",
        "pacbound/bounds/inversion.py",
        "        if gap > 0:\n",
        "        if gap > -1e-6:\n",
        f"{INVERSION}::test_binomial_inverse_is_sandwiched_at_real_sizes",
    ),
    Mutation(
        "the tail forgets its remainder",
        "pacbound/bounds/inversion.py",
        "    return (total + remainder) * (1.0 + 8.0 * (i + 8) * UNIT)\n",
        "    return total * (1.0 - 8.0 * (i + 8) * UNIT)\n",
        f"{INVERSION}::test_ratio_sum_is_never_below_the_exact_sum",
    ),
    Mutation(
        "picks: the upper tail is taken for certain",
        "pacbound/bounds/inversion.py",
        "        return (1 - lower_tail) / log_pmf.exp()\n",
        "        return 1 / log_pmf.exp()\n",
        f"{PICKS}::test_closed_forms_of_one_remaining_example_and_of_one_example",
    ),
    Mutation(
        "picks: the factor n of the preference form is dropped",
        "pacbound/bounds/inversion.py",
        "(n * arb(e)).log()",
        "arb(e).log()",
        f"{PICKS}::test_published_figures_from_both_sides",
    ),
    Mutation(
        "picks: the learner averages over all its steps",
        "pacbound/picking/learner.py",
        "            if step >= first:\n                _average(mean, trained, step - first)\n",
        "            _average(mean, trained, step)\n",
        f"{LEARNER}::test_a_network_without_statistics_is_the_mean_of_adam_run_by_hand",
    ),
    Mutation(
        "picks: batch statistics are those of the weights before the mean",
        "pacbound/picking/learner.py",
        "            _take_statistics(module, batches)\n",
        "            pass\n",
        f"{LEARNER}::test_batch_statistics_are_those_of_the_picks_under_the_final_weights",
    ),
    Mutation(
        "picks: dropout draws from whatever was drawn before",
        "pacbound/picking/learner.py",
        "        seed(torchs)  # of dropout, in a network of the user's own\n",
        "",
        f"{LEARNER}::test_dropout_in_a_network_of_the_users_own_is_drawn_from_the_recipe",
    ),
    Mutation(
        "picks: an image is never mirrored",
        "pacbound/picking/augment.py",
        "    images = torch.where(turned[:, None, None, None], images.flip(-1), images)\n",
        "",
        "tests/picking/test_augment.py::test_flip_crop_is_one_of_the_mirrored_crops_and_every_other_image_is_turned",
    ),
    Mutation(
        "picks: only the errors count, not the picked",
        "pacbound/bounds/preference.py",
        "preference_inverse(picked + errors, n,",
        "preference_inverse(errors, n,",
        "tests/bounds/test_picks_coverage.py::test_pick_to_learn_on_noisy_thresholds_keeps_the_promise",
    ),
    Mutation(
        "picks: what was chosen is not paid",
        "pacbound/bounds/preference.py",
        "picked + errors, n, bits, delta)\n    reference",
        "picked + errors, n, 0, delta)\n    reference",
        f"{PICKS}::test_what_was_chosen_is_paid_by_its_share_of_delta",
    ),
    Mutation(
        "picks: the size of a set is free",
        "pacbound/bounds/preference.py",
        "            nats = log_binomial(n, picked) + arb(n).log()\n",
        "            nats = log_binomial(n, picked)\n",
        f"{PICKS}::test_the_classical_form_pays_the_set_its_size_and_where_used_its_order",
    ),
    Mutation(
        "picks: the order of a list is free",
        "pacbound/bounds/preference.py",
        "            if ordered:\n",
        "            if False:\n",
        f"{PICKS}::test_an_order_that_carries_labels_cannot_pass_for_a_set",
    ),
    Mutation(
        "picks: the picked are counted on as a test set",
        "pacbound/bounds/preference.py",
        "binomial_tail_inverse(errors, n - picked, paid, delta)",
        "binomial_tail_inverse(errors, n, paid, delta)",
        f"{PICKS}::test_the_classical_form_pays_the_set_its_size_and_where_used_its_order",
    ),
    Mutation(
        "picks: more picks and errors than examples",
        "pacbound/bounds/preference.py",
        "    if picked + errors > n:\n",
        "    if False:\n",
        f"{PICKS}::test_what_lies_outside_the_conditions_is_refused",
    ),
    Mutation(
        "losses: rounded towards the smaller sum",
        "pacbound/bounds/losses.py",
        "        y -= (np.abs(product) + y) * 2.0**-51\n",
        "        y += (np.abs(product) + y) * 2.0**-51\n",
        f"{LOSSES}::test_every_log_sum_lies_just_above_the_exact_one",
    ),
    Mutation(
        "losses: a loss above its ceiling is let in",
        "pacbound/bounds/losses.py",
        "    if losses[at] > ceilings[at]:\n",
        "    if False:\n",
        f"{LOSSES}::test_bad_arrays_are_refused_with_the_place",
    ),
    Mutation(
        "losses: the reach of a later part is forgotten",
        "pacbound/bounds/losses.py",
        "        reach=max(part.reach for part in parts),\n",
        "        reach=first.reach,\n",
        f"{LOSSES}::test_parts_joined_are_the_whole",
    ),
    Mutation(
        "losses: parts of different centres pass for one",
        "pacbound/bounds/losses.py",
        "        centre=first.centre if len(centres) == 1 else None,\n",
        "        centre=first.centre,\n",
        f"{LOSSES}::test_parts_of_different_constants_have_none",
    ),
    Mutation(
        "losses: a lambda beyond its range may stand in the statistics",
        "pacbound/bounds/losses.py",
        "rate * self.reach >= 1 for",
        "False for",
        f"{LOSSES}::test_statistics_that_contradict_themselves_are_refused",
    ),
    Mutation(
        "language: the menu of lambdas is free",
        "pacbound/bounds/language.py",
        "nats_of(bits) + arb(len(sums.lambdas)).log() + log_inverse(delta)",
        "nats_of(bits) + log_inverse(delta)",
        f"{LANGUAGE}::test_every_form_is_its_formula_in_mpmath",
    ),
    Mutation(
        "language: the message is free",
        "pacbound/bounds/language.py",
        "nats_of(bits) + arb(len(sums.lambdas)).log() + log_inverse(delta)",
        "arb(len(sums.lambdas)).log() + log_inverse(delta)",
        "tests/bounds/test_language_coverage.py::test_a_markov_source_keeps_the_promise_when_paid_and_not_otherwise",
    ),
    Mutation(
        "language: the menu of Catoni's form is free",
        "pacbound/bounds/language.py",
        "nats_of(bits) + arb(len(CATONI_RATES)).log() + log_inverse(delta)",
        "nats_of(bits) + log_inverse(delta)",
        f"{LANGUAGE}::test_every_form_is_its_formula_in_mpmath",
    ),
    Mutation(
        "language: positions with ceilings of their own",
        "pacbound/bounds/language.py",
        "    if sums.centre is None or sums.ceiling is None:\n        raise",
        "    if False:\n        raise",
        f"{LANGUAGE}::test_what_applies_depends_on_what_is_constant",
    ),
    Mutation(
        "language: choices that looked at the subsample are paid once",
        "pacbound/bounds/subsampled.py",
        "        drawn = (nats_of(choice_bits) + log_inverse(delta) - (1 - share).log())",
        "        drawn = (log_inverse(delta) - (1 - share).log())",
        f"{LANGUAGE}::test_choices_that_looked_at_the_subsample_are_paid_in_both_terms",
    ),
    Mutation(
        "answers: one right symbol is a right answer",
        "pacbound/networks/predictions.py",
        "np.logical_and.reduceat",
        "np.logical_or.reduceat",
        "tests/networks/test_answers.py::test_an_answer_is_exact_where_greedy_decoding_writes_it",
    ),
    Mutation(
        "answers: near-ties are right",
        "pacbound/networks/predictions.py",
        "    lost = zero_one(logits.flatten(0, 1), asked.flatten()).numpy() > 0\n",
        "    lost = logits.flatten(0, 1).argmax(1).numpy() != symbols.flatten()\n",
        "tests/networks/test_answers.py::test_a_near_tie_is_an_error",
    ),
    Mutation(
        "answers: a symbol that the network lacks is right",
        "pacbound/networks/predictions.py",
        "    return known & ~lost.reshape(symbols.shape)\n",
        "    return ~lost.reshape(symbols.shape)\n",
        "tests/networks/test_answers.py::test_a_symbol_that_the_network_does_not_know_is_an_error",
    ),
    Mutation(
        "answers: a long pair is cut off",
        "pacbound/networks/predictions.py",
        "    pairs.check_fit(prediction.window)\n",
        "    pairs.check_fit(10**9)\n",
        "tests/networks/test_answers.py::test_a_pair_longer_than_a_window_is_refused",
    ),
    Mutation(
        "answers: an answer goes on after its end",
        "pacbound/data/pairs.py",
        "        if _first(whole, after) < len(whole) - len(after):\n",
        "        if _first(whole, after) < 0:\n",
        "tests/data/test_pairs.py::test_what_are_no_pairs_is_refused",
    ),
    Mutation(
        "answers: the digest does not say where an answer begins",
        "pacbound/data/pairs.py",
        'np.ascontiguousarray(self.spans, "<i8")',
        'np.ascontiguousarray(self.spans[:, [0, 2]], "<i8")',
        "tests/data/test_pairs.py::test_the_digest_says_where_an_answer_begins",
    ),
    Mutation(
        "answers: errors are not counted again",
        "pacbound/verification/language_losses.py",
        'the certificate says {stated:,}" if found > stated else None\n',
        'the certificate says {stated:,}" if found < 0 else None\n',
        "tests/methods/test_language_answers.py::test_forgeries_are_refused_at_the_first_level_that_sees_them",
    ),
    Mutation(
        "answers: copies need no reason",
        "pacbound/certificate/language_recheck.py",
        "    return check_repeats(n, distinct, units.repeats, units.apart)\n",
        "    return None\n",
        "tests/methods/test_language_answers.py::test_forgeries_are_refused_at_the_first_level_that_sees_them",
    ),
    Mutation(
        "answers: the message is free",
        "pacbound/certificate/language.py",
        "    return occam_binomial(errors, losses.n, bits, delta)\n",
        "    return occam_binomial(errors, losses.n, 0, delta)\n",
        "tests/methods/test_language_answers.py::test_the_bound_lies_above_the_known_risk_and_the_errors_are_those_of_decoding",
    ),
    Mutation(
        "bound: the preference form is printed for an order that is not recovered",
        "cli/bound.py",
        "    if not ordered:\n",
        "    if True:\n",
        "tests/cli/test_bound_picks.py::test_bits_are_zero_unless_given_and_an_order_that_is_used_leaves_the_classical_form",
    ),
    Mutation(
        "bits rounded down",
        "pacbound/bits/coder.py",
        "return int(np.dot(counts, PRECISION_BITS - exponents)) - _floor_log2(terms)\n",
        "return int(np.dot(counts, PRECISION_BITS - exponents)) - _floor_log2(terms) - bool(terms)\n",
        f"{CODER}::test_bits_are_the_ceiling_of_the_exact_information",
    ),
    Mutation(
        "a choice rounded down",
        "pacbound/bits/ledger.py",
        "(options - 1).bit_length()",
        "(options.bit_length() - 1)",
        "tests/bits/test_ledger.py::test_a_choice_costs_the_least_whole_bits_that_name_every_option",
    ),
    Mutation(
        "an item may stand twice in the ledger",
        "pacbound/bits/ledger.py",
        "            if entry.item in seen:\n",
        "            if False:\n",
        "tests/bits/test_ledger.py::test_an_item_stands_once_so_no_bits_can_be_hidden_behind_a_name",
    ),
    Mutation(
        "nats rounded down",
        "pacbound/bits/ledger.py",
        "math.nextafter(self.bits * math.log(2), math.inf)",
        "math.nextafter(self.bits * math.log(2), -math.inf)",
        "tests/bits/test_ledger.py::test_nats_are_rounded_up_by_less_than_two_units_in_the_last_place",
    ),
    Mutation(
        "a symbol of frequency zero",
        "pacbound/bits/codes.py",
        "    table = [1 + (TOTAL - levels) * weight // total for weight in weights]\n",
        "    table = [TOTAL * weight // total for weight in weights]\n",
        "tests/bits/test_codes.py::test_count_tables_follow_their_rule_and_keep_full_support",
    ),
    Mutation(
        "symbols are sent with other masses than those charged",
        "pacbound/bits/coder.py",
        "    return np.subtract(table, 1, dtype=np.float64)\n",
        "    return np.subtract(table, 0, dtype=np.float64)\n",
        f"{CODER}::test_the_stream_has_exactly_the_masses_that_are_charged",
    ),
    Mutation(
        "the model's header is not charged",
        "pacbound/bits/codes.py",
        "        ratio_index = stream.integer(item, 7, why, None if spec is None else spec.ratio_index)\n",
        "        ratio_index = 60 if spec is None else spec.ratio_index\n",
        "tests/bits/test_codes.py::test_the_header_costs_what_it_says",
    ),
    Mutation(
        "counts one bit too narrow, as published",
        "pacbound/bits/codes.py",
        "    width = count.bit_length()  #",
        "    width = max(1, (count - 1).bit_length())  #",
        "tests/bits/test_codes.py::test_static_counts_can_say_that_one_symbol_takes_all",
    ),
    Mutation(
        "w = 0 does not pay for its flag",
        "pacbound/bits/message.py",
        'stream.integer("zero flag", 1, ',
        'stream.integer("zero flag", 0 if spec is not None and spec.projector else 1, ',
        "tests/bits/test_message.py::test_both_branches_of_the_zero_flag_pay_for_it",
    ),
    Mutation(
        "a symbol on the lattice without a zero is priced as if it had one",
        "pacbound/bits/trellis.py",
        "[tables[state >> 1] for state in range(len(NEXT))]",
        "[tables[0] for state in range(len(NEXT))]",
        "tests/bits/test_trellis.py::test_header_and_symbols_come_back_at_the_price_of_their_tables",
    ),
    Mutation(
        "the trellis goes on from another state than the coder's",
        "pacbound/bits/trellis.py",
        "    h[..., 1::2] = (state + np.cumsum(odd[..., ::2], -1)) & 1\n",
        "    h[..., 1::2] = np.cumsum(odd[..., ::2], -1) & 1\n",
        "tests/bits/test_trellis.py::test_halves_and_the_last_state_are_those_of_the_table",
    ),
    Mutation(
        "a trellis decodes to whole steps alone",
        "pacbound/quantize/profile.py",
        "integers + halves(integers) / 2 if trellis else integers",
        "integers",
        "tests/bits/test_trellis.py::test_coefficients_are_multiples_of_the_step_or_of_the_step_and_a_half",
    ),
    Mutation(
        "a scale may leave the header's range",
        "pacbound/specs/specs.py",
        "    scale_index: int = Field(ge=-128, lt=256)\n",
        "    scale_index: int\n",
        "tests/attacks/test_trellis_forgeries.py::test_fields_other_than_those_of_the_message_are_refused",
    ),
    Mutation(
        "the architecture is not charged",
        "pacbound/bits/architecture.py",
        "    return bool(stream.integer(ITEM, 1, WHY, ",
        "    return bool(stream.integer(ITEM, 1 if sent is None else 0, WHY, ",
        f"{ARCHITECTURE}::test_no_word_starts_another_so_the_code_is_prefix_free",
    ),
    Mutation(
        "the flag of a network of one's own is not charged",
        "pacbound/bits/message.py",
        "    model = code_model(stream, None if spec is None else spec.model)\n",
        "    model = declared.model if declared.model == 'user' else code_model(stream, spec and spec.model)\n",
        "tests/bits/test_message.py::test_a_receiver_rebuilds_the_very_hypothesis_and_its_ledger",
    ),
    Mutation(
        "two descriptions have one code: strides are not sent",
        "pacbound/bits/architecture.py",
        "    stride = 1 + _gamma(stream, None if sent is None else _known(sent.stride) - 1)\n    same",
        "    stride = 1 + _gamma(stream, None if sent is None else 0)\n    same",
        f"{ARCHITECTURE}::test_a_receiver_reads_the_very_description_at_the_price_of_the_table",
    ),
    Mutation(
        "a word is a network although its spelling is not canonical",
        "pacbound/bits/architecture.py",
        "    if canonical != coded:\n",
        "    if False:\n",
        f"{ARCHITECTURE}::test_words_of_no_network_are_refused",
    ),
    Mutation(
        "a certificate may give a network a second name",
        "pacbound/specs/grammar.py",
        "    if canonical != model:\n",
        "    if False:\n",
        "tests/specs/test_grammar.py::test_a_certificate_with_another_name_of_a_network_is_refused",
    ),
    Mutation(
        "a payload need not be what its content encodes to",
        "pacbound/bits/message.py",
        "    if pack(spec, symbols)[0].payload != payload:\n",
        "    if False:\n",
        f"{FORGERIES}::test_a_padded_payload_does_not_decode_although_its_content_is_right",
    ),
    Mutation(
        "verify accepts a smaller bound",
        "pacbound/certificate/recheck.py",
        "    if value >= recomputed:\n",
        "    if value <= recomputed:\n",
        f"{FORGERIES}::test_each_forgery_is_caught_first_at_its_level",
    ),
    Mutation(
        "verify does not recompute the bound from delta",
        "pacbound/certificate/recheck.py",
        "certificate.ledger.bits, stated.delta)\n",
        "certificate.ledger.bits, 0.05)\n",
        f"{FORGERIES}::test_each_forgery_is_caught_first_at_its_level",
    ),
    Mutation(
        "verify compares the sum of the ledger only",
        "pacbound/certificate/checks.py",
        "        if want != have:\n",
        "        if False:\n",
        f"{FORGERIES}::test_each_forgery_is_caught_first_at_its_level",
    ),
    Mutation(
        "verify lets fewer errors than there are pass",
        "pacbound/verification/recount.py",
        "    complaint = more if recount.errors > stated.errors else None\n",
        "    complaint = more if recount.errors < stated.errors else None\n",
        "tests/attacks/test_risk_forgeries.py"
        "::test_one_error_fewer_than_there_are_is_caught_by_counting_and_by_nothing_else",
    ),
    Mutation(
        "verify does not look at the digest of the data",
        "pacbound/verification/samples.py",
        "    elif examples.digest() != digest:\n",
        "    elif False:\n",
        "tests/attacks/test_risk_forgeries.py::test_other_data_are_caught_by_digest_or_by_size",
    ),
    Mutation(
        "a sidecar's digest is not checked",
        "pacbound/certificate/files.py",
        "    if len(content) != size or hashlib.sha256(content).hexdigest() != sha256:\n",
        "    if len(content) != size:\n",
        "tests/certificate/test_files.py::test_a_sidecar_of_the_right_size_with_another_content_is_refused",
    ),
    Mutation(
        "the digest is not checked",
        "pacbound/certificate/checks.py",
        "    if certificate.expected_digest() == certificate.digest:\n",
        "    if True:\n",
        f"{FORGERIES}::test_an_edit_without_a_new_digest_is_caught_by_the_digest",
    ),
    Mutation(
        "figures printed rounded down",
        "pacbound/certificate/statement.py",
        "    return number.quantize(step, ROUND_CEILING, EXACT)\n",
        "    return number.quantize(step, ROUND_FLOOR, EXACT)\n",
        "tests/certificate/test_statement.py"
        "::test_printed_risks_are_never_below_the_number_and_less_than_one_step_above",
    ),
    Mutation(
        "verify does not look at the rest of a split",
        "pacbound/verification/samples.py",
        "complaint=differ if found != stated.digest else None)\n",
        "complaint=None)\n",
        "tests/attacks/test_split_forgeries.py::test_another_permutation_sent_and_paid_is_caught_by_the_examples",
    ),
    Mutation(
        "theta0 is trained on the rest of the split",
        "pacbound/pipeline/starting.py",
        "    module, sample = _trainee(setup, split.first, frozen, beside, progress)\n",
        "    module, sample = _trainee(setup, split.rest, frozen, beside, progress)\n",
        "tests/pipeline/test_split.py::test_theta0_sees_the_first_examples_only",
    ),
    Mutation(
        "rules for names may give another theta0",
        "pacbound/networks/checkpoints.py",
        "    if origin.values != base.origin.values:\n",
        "    if False:\n",
        "tests/pipeline/test_transfer.py::test_rules_that_give_another_theta0_from_the_same_file_do_not_stand",
    ),
    Mutation(
        "a module's own values are its start unasked",
        "pacbound/pipeline/preparation.py",
        'request.seed if request.base == "seeded" else None',
        "request.seed if named else None",
        f"{SAID}::test_values_that_a_module_happens_to_hold_are_not_taken_for_a_start_that_never_saw_the_sample",
    ),
    Mutation(
        "a start handed over is not declared",
        "pacbound/certificate/accounting.py",
        "        if split.start is not None:\n",
        "        if False:\n",
        f"{SAID}::test_what_is_said_is_quoted",
    ),
    Mutation(
        "nobody says how many draws went before",
        "pacbound/pipeline/preparation.py",
        "    if request.earlier_draws is None:\n",
        "    if False:\n",
        f"{SAID}::test_looks_are_quoted_only_where_their_number_was_given",
    ),
    Mutation(
        "looks of earlier runs are forgotten",
        "pacbound/pipeline/looks.py",
        "1 + max(earlier, *here.values(), 0)",
        "1 + earlier",
        "tests/pipeline/test_looks.py"
        "::test_a_look_is_one_more_than_all_that_were_said_or_recorded_and_the_same_look_keeps_its_number",
    ),
    Mutation(
        "bytes of a posterior's header are free",
        "pacbound/certificate/draw.py",
        "    if _written(tensors) != raw:\n",
        "    if False:\n",
        f"{DRAW}::test_bytes_of_the_header_that_say_nothing_are_refused_for_they_would_choose_the_noise",
    ),
    Mutation(
        "two values for what is one in the network are let in",
        "pacbound/networks/checkpoints.py",
        "        if not torch.equal(own[name].detach(), tensor.detach().to(own[name].dtype)):\n",
        "        if False:\n",
        "tests/networks/test_reading.py::test_two_values_for_what_is_one_in_the_network_are_refused",
    ),
    Mutation(
        "shards are not in the digest of a checkpoint",
        "pacbound/models/foreign.py",
        "        files = {*shards, *([index] if index else [])}\n",
        "        files = {index} if index else {*shards}\n",
        "tests/networks/test_reading.py::test_shards_are_joined_and_their_digest_covers_the_index_and_all_of_them",
    ),
    Mutation(
        "shards may lie where no digest covers them",
        "pacbound/models/foreign.py",
        "    if not inside:\n",
        "    if False:\n",
        "tests/networks/test_reading.py::test_damaged_shards_are_refused",
    ),
    Mutation(
        "another state dict of the same file may be the original",
        "pacbound/verification/recount.py",
        "        if original.record.values != part.original.values:\n",
        "        if False:\n",
        f"{SURROGATE}::test_another_state_dict_of_the_same_file_is_not_the_original",
    ),
    Mutation(
        "training touches the caller's module",
        "pacbound/networks/hypothesis.py",
        "    copied = private_copy(module)\n",
        "    copied = module.eval()\n",
        f"{COUNTED}::test_the_callers_module_and_random_numbers_are_left_as_they_were",
    ),
    Mutation(
        "an unaccounted float buffer is let in",
        "pacbound/subspace/layout.py",
        "        harmless = not (buffer.is_floating_point() or buffer.is_complex())\n",
        "        harmless = True\n",
        "tests/subspace/test_layout.py::test_unaccounted_buffers_are_refused_by_name",
    ),
    Mutation(
        "pictures of any sample are shown as the picks",
        "pacbound/verification/sheet.py",
        "    if finding.complaint is not None:\n",
        "    if False:\n",
        "tests/verification/test_sheet.py::test_examples_of_another_sample_are_not_shown",
    ),
    Mutation(
        "a word for what is trained is free",
        "pacbound/bits/trained.py",
        "CHARACTER_BITS = 7",
        "CHARACTER_BITS = 6",
        "tests/bits/test_message.py::test_a_receiver_rebuilds_the_very_hypothesis_and_its_ledger",
    ),
    Mutation(
        "the count on captured inputs is certified",
        "pacbound/pipeline/finish.py",
        "partial(_by_whole, setup, progress=progress))\n",
        "partial(_by_one_pass if setup.captured else partial(_by_whole, progress=progress), setup))\n",
        "tests/pipeline/test_trained_part.py::test_candidates_are_ranked_by_the_part_and_counted_on_the_whole",
    ),
    Mutation(
        "surrogates from two files of theta0 are one look",
        "pacbound/methods/surrogate.py",
        "        best.spec.model_dump_json().encode(),\n",
        "",
        f"{SURROGATE}::test_another_file_of_theta0_under_the_same_message_is_another_look",
    ),
    Mutation(
        "what lies under a trained head is not pinned",
        "pacbound/networks/checkpoints.py",
        "        return _of_values(start_base(module, theta0, origin, buffers, read.tensors()), origin)\n",
        "        return replace(start_base(module, theta0, origin, buffers, read.tensors()), origin=origin)\n",
        "tests/pipeline/test_trained_part.py::test_a_rule_that_swaps_two_frozen_tensors_of_the_same_file_is_seen",
    ),
    Mutation(
        "verify trains what the network lets train",
        "pacbound/verification/recount.py",
        "    built = train_only(built, certificate.hypothesis.train)\n",
        "",
        "tests/pipeline/test_trained_part.py::test_only_the_part_is_trained_and_the_whole_is_what_verify_counts",
    ),
    Mutation(
        "a part is not compared with other parameters than theta0's",
        "pacbound/networks/captured.py",
        "    for change in (_unchanged, _redrawn):",
        "    for change in (_unchanged,):",
        "tests/networks/test_captured.py::test_a_last_layer_of_zeros_hides_nothing_that_follows_it",
    ),
    Mutation(
        "another run's captured inputs are taken",
        "pacbound/networks/captured.py",
        'said["key"] == key',
        'said["key"] is not None',
        "tests/networks/test_captured.py::test_what_another_run_captured_is_not_taken_for_ones_own",
    ),
    Mutation(
        "a part of an estimated error is drawn as none",
        "pacbound/reports/picks_plot.py",
        "-int(-left // 1))\n",
        "int(left // 1))\n",
        "tests/reports/test_picks_plot.py::test_points_are_those_of_the_rounds",
    ),
    Mutation(
        "a bound is drawn where the selection could not stop",
        "pacbound/certificate/picked.py",
        "        now > last or (",
        "        now >= last or (",
        "tests/reports/test_picks_plot.py::test_between_two_sizes_of_the_list_no_bound_is_drawn_unless_nothing_is_left",
    ),
    Mutation(
        "a long preprocessing is announced for free",
        "pacbound/bits/message.py",
        "    if long := number == LONG:\n        number = stream.gamma(BASE, WHY_BASE, place)\n",
        "    if long := number == LONG:\n        number = 0 if place is None else place\n",
        "tests/bits/test_message.py::test_a_receiver_rebuilds_the_very_hypothesis_and_its_ledger",
    ),
    Mutation(
        "any tokenizer will do at verify",
        "pacbound/verification/verification.py",
        "        other = [sha256[:12] for sha256 in sorted(named) if sha256 != found]\n",
        "        other = [sha256[:12] for sha256 in sorted(named) if not found]\n",
        "tests/verification/test_texts.py::test_it_stands_with_its_tokenizer_and_with_no_other",
    ),
    Mutation(
        "texts padded to another length are other texts",
        "pacbound/data/inputs.py",
        "    x, other = _equally_wide(x, other)\n",
        "",
        "tests/data/test_readers.py::test_texts_are_known_again_whatever_the_longest_of_their_sample_is",
    ),
    Mutation(
        "a quota of a group above is not seen",
        "pacbound/threads.py",
        "(group, *group.parents)",
        "(group,)",
        f"{THREADS}::test_the_quota_is_the_least_of_all_groups_above",
    ),
    Mutation(
        "a memory limit of a container is not seen",
        "pacbound/pipeline/memory.py",
        'control_groups("memory")',
        "[]",
        "tests/pipeline/test_costs.py::test_a_network_that_cannot_fit_is_refused_with_the_bytes_it_needs",
    ),
    Mutation(
        "a state keeps no seconds of a run that is interrupted",
        "pacbound/training/state.py",
        '"seconds": so_far()}',
        '"seconds": {}}',
        "tests/pipeline/test_resume.py::test_a_resumed_run_states_the_seconds_of_all_its_processes",
    ),
    Mutation(
        "a state that knows no seconds is refused",
        "pacbound/training/state.py",
        'content.get("seconds", {})',
        'content["seconds"]',
        "tests/pipeline/test_resume.py::test_a_state_that_knows_no_seconds_goes_on_as_ever",
    ),
    Mutation(
        "the second state of a run counts what the first one counted",
        "pacbound/stages.py",
        "max(seconds, self._before.get(name, 0.0))",
        "seconds + self._before.get(name, 0.0)",
        "tests/test_stages.py::test_a_run_goes_on_from_what_its_states_kept_each_of_which_knows_a_part",
    ),
    Mutation(
        "a forecast leaves the leading directions out",
        "pacbound/pipeline/forecast.py",
        '            "directions": found,\n',
        "",
        "tests/pipeline/test_forecast.py::test_what_was_found_before_the_forecast_still_counts",
    ),
    Mutation(
        "a forecast times as many examples as a batch has, however long each takes",
        "pacbound/training/timing.py",
        "        if 2 * seconds > LONG:\n            break\n",
        "",
        "tests/pipeline/test_forecast.py::test_few_examples_are_timed_where_each_takes_long",
    ),
    Mutation(
        "the user's own number of threads is exceeded",
        "pacbound/threads.py",
        "min(torch.get_num_threads(), cores(), ",
        "min(cores(), ",
        f"{THREADS}::test_no_limit_is_exceeded",
    ),
    Mutation(
        "more threads are taken though they are slower",
        "pacbound/threads.py",
        "if found > WORTH * seconds:",
        "if False:",
        f"{THREADS}::test_more_threads_are_taken_where_they_are_clearly_faster",
    ),
    Mutation(
        "a machine that became busy is not noticed",
        "pacbound/threads.py",
        "each > SLOWER * least and pause",
        "each < 0 and pause",
        f"{THREADS}::test_a_machine_that_becomes_busy_is_noticed_within_seconds",
    ),
    Mutation(
        "a resumed run forgets its number of threads",
        "pacbound/threads.py",
        "if noted != self.count:",
        "if False:",
        f"{THREADS}::test_a_run_goes_on_with_the_number_it_noted_unless_that_is_slow_now",
    ),
    Mutation(
        "one thread for picks is not kept",
        "pacbound/threads.py",
        "1 if always else most_threads()",
        "most_threads()",
        f"{THREADS}::test_the_callers_number_comes_back_after_an_error_too",
    ),
    Mutation(
        "held-out labels are numbered among themselves",
        "pacbound/data/registry.py",
        "    found = in_order_of(Labels(examples.y, examples.classes, examples.labels), labels)\n",
        "    found = Labels(examples.y, examples.classes, examples.labels)\n",
        "tests/data/test_readers.py::test_held_out_labels_mean_what_they_mean_in_the_sample",
    ),
    Mutation(
        "columns are standardised by the sample's own means",
        "pacbound/pipeline/preparation.py",
        "        refuse_own_statistics(whole.x, preprocess)\n",
        "        pass\n",
        "tests/data/test_columns.py::test_statistics_of_the_sample_itself_are_refused_with_the_reason",
    ),
    Mutation(
        "a resized picture may leave the range of pixels",
        "pacbound/data/preprocess.py",
        "antialias=True).clamp(0, 255)\n",
        "antialias=True)\n",
        "tests/data/test_preprocess.py::test_resizing_is_bicubic_with_a_wider_kernel_where_it_shrinks",
    ),
    Mutation(
        "large gradients go to the subspace without the scale of their layers",
        "pacbound/subspace/curvature.py",
        "            row *= subspace.scale\n",
        "            pass\n",
        "tests/subspace/test_curvature.py::test_gradients_of_examples_are_those_of_a_loop_in_the_order_of_the_batch",
    ),
    Mutation(
        "what was in the vector before stands for a parameter without gradient",
        "pacbound/subspace/curvature.py",
        " = 0.0 if part is None else part",
        " = 1.0 if part is None else part",
        "tests/subspace/test_curvature.py::test_one_gradient_at_a_time_has_those_of_tied_and_of_unused_parameters",
    ),
    Mutation(
        "parameters that have left a vector are taken from it",
        "pacbound/subspace/layout.py",
        "        if places == [",
        "        if places[0] in [",
        "tests/subspace/test_layout.py::test_gathered_parameters_are_views_of_one_vector_and_nothing_is_copied_twice",
    ),
    Mutation(
        "pages of a mapped sample are kept",
        "pacbound/data/mapped.py",
        "            mapping.madvise(GIVEN_BACK)\n",
        "            pass\n",
        "tests/data/test_mapped.py::test_a_mapped_sample_is_passed_over_without_staying_in_memory",
    ),
    Mutation(
        "large examples are looked at many at a time",
        "pacbound/data/mapped.py",
        "CHUNK_NUMBERS // max(1, x[:1].numel())",
        "CHUNK_NUMBERS",
        "tests/data/test_mapped.py::test_few_of_large_examples_are_looked_at_together",
    ),
    Mutation(
        "the Fisher is that of a saturated softmax",
        "pacbound/training/progressive.py",
        "        if again:\n",
        "        if not rows:\n",
        "tests/training/test_progressive.py::"
        "test_each_part_of_the_bounded_stage_begins_with_the_fisher_of_softer_predictions",
    ),
    Mutation(
        "labels are drawn at a temperature and differentiated at none",
        "pacbound/subspace/curvature.py",
        "-F.cross_entropy(z / temperature, y)",
        "-F.cross_entropy(z, y)",
        "tests/subspace/test_curvature.py::test_sampled_labels_average_to_the_exact_fisher_matrix",
    ),
    Mutation(
        "a temperature is looked for where labels are unlikely",
        "pacbound/subspace/curvature.py",
        "if slope > 0 else",
        "if slope < 0 else",
        "tests/subspace/test_curvature.py::"
        "test_at_the_calibrated_temperature_no_other_gives_the_labels_less_cross_entropy",
    ),
    Mutation(
        "the Fisher of what is free is measured as if nothing were fixed",
        "pacbound/subspace/curvature.py",
        "self.temperature)[:, first:]",
        "self.temperature)[:, : self.d]",
        "tests/subspace/test_curvature.py::"
        "test_where_some_coefficients_are_known_the_matrix_is_that_of_the_others_at_the_whole_point",
    ),
    Mutation(
        "before blocks the Fisher grows old",
        "pacbound/training/progressive.py",
        "if fixed and self.settings.again_in_blocks(self.subspace.d)",
        "if fixed and self.settings.refreshes > 9",
        "tests/training/test_progressive.py::"
        "test_before_each_block_but_the_first_the_fisher_of_what_is_free_is_measured_again",
    ),
    Mutation(
        "moves of a group change each other's coefficients",
        "pacbound/training/refine.py",
        "nats[np.isin(moves.places, moves.places[best]).any(1)] = np.inf",
        "nats[best] = np.inf",
        "tests/training/test_rounding.py::"
        "test_a_group_shifts_margins_as_the_decoded_coefficients_do_and_promises_more_the_larger",
    ),
    Mutation(
        "refinement believes that margins are linear",
        "pacbound/training/refine.py",
        "+ bend * np.square(shifts).mean(-1)",
        "+ 0 * bend",
        "tests/training/test_rounding.py::"
        "test_what_moves_promise_is_what_they_say_one_by_one_and_pairs_of_one_coefficient_are_none",
    ),
    Mutation(
        "refinement learns nothing from its trials",
        "pacbound/training/refine.py",
        "self.missed + errors - trial.errors",
        "self.missed",
        "tests/training/test_rounding.py::test_what_shifts_cost_beside_the_predicted_errors_is_learned_from_the_trials",
    ),
    Mutation(
        "the outcome of refinement is what its rounds believe",
        "pacbound/training/refine.py",
        "min(point, confirmed, key=lambda one: one.bound)",
        "confirmed",
        "tests/training/test_progressive.py::test_refinement_that_a_count_of_the_sample_does_not_confirm_is_left",
    ),
    Mutation(
        "the curvature of a large network has as many examples as ever",
        "pacbound/pipeline/costs.py",
        "    if not choices or _rows(settings, d) <= most:\n",
        "    if choices:\n",
        "tests/pipeline/test_costs.py::test_the_curvature_of_a_large_network_takes_a_quarter_of_training",
    ),
    Mutation(
        "every run of several encoder seeds has the same seed",
        "pacbound/pipeline/encoding.py",
        '{"encoder_seed": request.encoder_seed + k}',
        '{"encoder_seed": request.encoder_seed}',
        f"{ENCODER_SEEDS}::test_the_result_is_the_best_of_the_single_runs_and_its_ledger_that_of_one",
    ),
    Mutation(
        "a further encoder seed goes on from the state of the first",
        "pacbound/training/state.py",
        "        if k == 0:\n",
        "        if True:\n",
        f"{ENCODER_SEEDS}::test_a_state_that_has_ended_one_seed_goes_on_with_the_next",
    ),
    Mutation(
        "every encoder seed has the whole budget",
        "pacbound/pipeline/encoding.py",
        "(request.budget or 0.0) / request.encoder_seeds",
        "(request.budget or 0.0)",
        f"{ENCODER_SEEDS}::test_a_budget_is_shared_among_the_seeds",
    ),
)


def copy_of_repository(folder: Path) -> Path:
    """Copy what tests need; `pacbound_cli` is the name under which cli/ is installed."""
    for name in COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    (folder / "pacbound_cli").symlink_to("cli", target_is_directory=True)
    return folder


def run_tests(copy: Path, tests: Sequence[str]) -> tuple[int, str]:
    """Run tests by name on the copy, in a child process, until one fails; return pytest's exit code and output."""
    output = copy / "output.txt"
    child = os.fork()
    if child == 0:
        code = CRASHED
        try:
            with output.open("w") as stream:
                os.dup2(stream.fileno(), 1)
                os.dup2(stream.fileno(), 2)
            code = _run_tests_here(copy, tests)
        except BaseException:
            traceback.print_exc()
        finally:  # never back into the parent's code, which would remove the copy
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), output.read_text("utf-8")


def _run_tests_here(copy: Path, tests: Sequence[str]) -> int:
    import pytest

    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy)  # for tests that start a python of their own
    sys.path[0] = str(copy)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # a mutation may keep the size and the second of its file
    sys.dont_write_bytecode = True
    code = int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", "--tb=line", *tests]))
    sys.stdout.flush()
    loaded = getattr(sys.modules.get("pacbound"), "__file__", None) or ""
    return code if loaded.startswith(str(copy)) or not loaded else FOREIGN


def outcome(copy: Path, mutation: Mutation) -> str:
    """Apply a mutation, run its test and put the line back: `caught`, `SURVIVED`, or what is wrong with the entry."""
    path = copy / mutation.file
    source = path.read_text("utf-8")
    if source.count(mutation.old) != 1:
        return f"DOES NOT FIT: the line stands {source.count(mutation.old)} times in {mutation.file}"
    path.write_text(source.replace(mutation.old, mutation.new), "utf-8")
    try:
        code, output = run_tests(copy, [mutation.test])
    finally:
        path.write_text(source, "utf-8")
    known = {FAILED: "caught", PASSED: "SURVIVED"}
    return known.get(code, f"DOES NOT RUN ({code}): {output[-800:]}")


def main(words: Sequence[str]) -> int:
    """Run the mutations and print a line for each."""
    for module in LOADED_ONCE:
        importlib.import_module(module)
    chosen = [m for m in MUTATIONS if not words or any(word in m.name for word in words)]
    if not chosen:
        print(f"the words are parts of the names of mutations; no name holds any of {', '.join(words)}")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        copy = copy_of_repository(Path(folder).resolve())
        code, output = run_tests(copy, sorted({mutation.test for mutation in chosen}))
        if code != PASSED:
            print(f"the tests do not pass before anything is broken ({code}):\n{output[-4000:]}")
            return 2
        outcomes = []
        for mutation in chosen:
            outcomes.append(outcome(copy, mutation))
            print(f"{outcomes[-1]:10} {mutation.name}", flush=True)
    print(f"{outcomes.count('caught')} of {len(chosen)} mutations caught")
    if any(found.startswith("DOES NOT") for found in outcomes):
        return 2
    return 1 if "SURVIVED" in outcomes else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
