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
LOSSES = "tests/bounds/test_losses.py"
LANGUAGE = "tests/bounds/test_language.py"
CODER = "tests/bits/test_coder.py"
DRAW = "tests/certificate/test_draw.py"
DRAW_FORGERIES = "tests/attacks/test_draw_forgeries.py"
SAID = "tests/soundness/test_what_users_say.py"
UNITS = "tests/bits/test_units.py"
DIRECT_FORGERIES = "tests/attacks/test_direct_forgeries.py"

COMPOSED = "tests/attacks/test_composed_forgeries.py"
SURROGATE = "tests/methods/test_surrogate.py"
COMPARISONS = "tests/measures/rademacher/test_comparisons.py"
COVERING = "tests/measures/covering/test_covering.py"

MUTATIONS = (
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
        '    if hypothesis.base.kind != "seeded" or ',
        "    if ",
        f"{COMPOSED}::test_each_forgery_is_caught_first_at_its_level",
    ),
    Mutation(
        "theta0 that follows the original is let in",
        "pacbound/methods/surrogate.py",
        '    if setup.base.origin.kind != "seeded" or ',
        "    if ",
        f"{SURROGATE}::test_theta0_that_could_follow_the_original_is_refused",
    ),
    Mutation(
        "verify lets fewer disagreements than there are pass",
        "pacbound/verification/verification.py",
        "differing > part.differing else None",
        "differing < part.differing else None",
        f"{COMPOSED}::test_each_forgery_is_caught_first_at_its_level",
    ),
    Mutation(
        "verify does not hash the inputs one by one",
        "pacbound/verification/verification.py",
        "    common = overlap(examples.x, inputs.x)\n",
        "    common = 0\n",
        f"{COMPOSED}::test_inputs_that_stand_in_the_sample_are_caught_by_hashing",
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
        "pacbound/verification/verification.py",
        "    return stated.loss if _known_loss(stated) or given.loss is None else given.loss\n",
        "    return stated.loss if given.loss is None else given.loss\n",
        "tests/attacks/test_risk_forgeries.py"
        "::test_a_loss_with_a_name_of_this_package_is_counted_by_it_and_not_by_whoever_brings_another",
    ),
    Mutation(
        "verify does not compare the number of classes",
        "pacbound/verification/verification.py",
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
        "two ties count as agreement",
        "pacbound/networks/original.py",
        "((one != other) | (one < 0)).sum()",
        "(one != other).sum()",
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
        "pacbound/verification/verification.py",
        "    if found == stated:\n",
        "    if True:\n",
        f"{DIRECT_FORGERIES}::test_groups_that_the_network_does_not_have_are_caught_when_it_is_rebuilt",
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
        "the measure of symmetry counts permutations across transposed dimensions",
        "pacbound/measures/covering/symmetry.py",
        'block.channels != "alike"',
        'block.channels == "lost"',
        f"{COVERING}::test_what_moves_entries_between_channels_ends_the_symmetry",
    ),
    Mutation(
        "a measure takes a mean for the identity in the maximum norm",
        "pacbound/measures/layers/tracing.py",
        "self.maximum * fixed.maximum",
        "self.maximum * euclidean",
        "tests/measures/layers/test_lipschitz.py::test_a_mean_that_is_scaled_up_is_not_taken_for_the_identity",
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
        "self._module = copy.deepcopy(base.module).eval()",
        "self._module = copy.deepcopy(base.module).train()",
        f"{COUNTED}::test_batch_normalisation_answers_by_its_frozen_statistics_not_by_the_batch",
    ),
    Mutation(
        "dropout in train mode",
        "pacbound/networks/hypothesis.py",
        "self._module = copy.deepcopy(base.module).eval()",
        "self._module = copy.deepcopy(base.module).train()",
        f"{COUNTED}::test_dropout_is_off_where_errors_are_counted",
    ),
    Mutation(
        "answers that depend on the batch are let through",
        "pacbound/networks/risk.py",
        "    check_deterministic(hypothesis, examples.x[:BATCH])\n",
        "",
        f"{COUNTED}::test_a_network_whose_answers_depend_on_the_batch_is_refused",
    ),
    Mutation(
        "risk on augmented data",
        "pacbound/networks/risk.py",
        "name, function, hypothesis(examples.x[rows]), ",
        "name, function, hypothesis(examples.x[rows] * 0.9), ",
        f"{COUNTED}::test_the_errors_are_those_of_the_network_rebuilt_by_hand",
    ),
    Mutation(
        "the last batch is dropped",
        "pacbound/networks/risk.py",
        "tqdm(range(0, examples.n, BATCH),",
        "tqdm(range(0, examples.n - BATCH, BATCH),",
        f"{COUNTED}::test_the_errors_are_those_of_the_network_rebuilt_by_hand",
    ),
    Mutation(
        "the undecoded coefficients are evaluated",
        "pacbound/networks/hypothesis.py",
        "    return dequantize(symbols, spec.code.levels, spec.quantizer)\n",
        "    return dequantize(symbols, spec.code.levels, spec.quantizer) + np.float32(0.01)\n",
        f"{COUNTED}::test_the_errors_are_those_of_the_network_rebuilt_by_hand",
    ),
    Mutation(
        "near ties are not counted as errors",
        "pacbound/networks/risk.py",
        "TIE = 1e-4\n",
        "TIE = 0.0\n",
        f"{COUNTED}::test_near_ties_count_as_errors_so_that_another_machine_finds_no_more",
    ),
    Mutation(
        "best of 50 seeds unpaid: the seed is believed, not sent",
        "pacbound/bits/message.py",
        "    seed = stream.gamma(item, why, None if base is None else base.seed)\n",
        "    seed = declared.seed\n",
        f"{COUNTED}::test_a_seed_is_paid_for_so_that_the_best_of_fifty_is_no_gift",
    ),
    Mutation(
        "examples may change between training and counting",
        "pacbound/pipeline/finish.py",
        "    if best.risk.data_digest != setup.digest:\n",
        "    if False:\n",
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
        "hashlib.sha256(values + frozen_digest(module).encode())",
        "hashlib.sha256(values)",
        "tests/networks/test_hypothesis.py::test_values_are_digested_with_everything_that_is_frozen",
    ),
    Mutation(
        "inner end of the binomial inversion",
        "pacbound/bounds/inversion.py",
        "level / n), _BELOW_ONE), outside)\n",
        "level / n), _BELOW_ONE), outside) * (1 - 1e-9)\n",
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
        "    return (total + remainder) * (1.0 + 8.0 * (i + 8) * _UNIT)\n",
        "    return total * (1.0 - 8.0 * (i + 8) * _UNIT)\n",
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
        "picks: only the errors count, not the picked",
        "pacbound/bounds/picks.py",
        "preference_inverse(picked + errors, n,",
        "preference_inverse(errors, n,",
        "tests/bounds/test_picks_coverage.py::test_pick_to_learn_on_noisy_thresholds_keeps_the_promise",
    ),
    Mutation(
        "picks: what was chosen is not paid",
        "pacbound/bounds/picks.py",
        "picked + errors, n, bits, delta)\n    reference",
        "picked + errors, n, 0, delta)\n    reference",
        f"{PICKS}::test_what_was_chosen_is_paid_by_its_share_of_delta",
    ),
    Mutation(
        "picks: the size of a set is free",
        "pacbound/bounds/picks.py",
        "            nats = log_binomial(n, picked) + arb(n).log()\n",
        "            nats = log_binomial(n, picked)\n",
        f"{PICKS}::test_the_classical_form_pays_the_set_its_size_and_where_used_its_order",
    ),
    Mutation(
        "picks: the order of a list is free",
        "pacbound/bounds/picks.py",
        "            if ordered:\n",
        "            if False:\n",
        f"{PICKS}::test_an_order_that_carries_labels_cannot_pass_for_a_set",
    ),
    Mutation(
        "picks: the picked are counted on as a test set",
        "pacbound/bounds/picks.py",
        "binomial_tail_inverse(errors, n - picked, paid, delta)",
        "binomial_tail_inverse(errors, n, paid, delta)",
        f"{PICKS}::test_the_classical_form_pays_the_set_its_size_and_where_used_its_order",
    ),
    Mutation(
        "picks: more picks and errors than examples",
        "pacbound/bounds/picks.py",
        "    if picked + errors > n:\n",
        "    if False:\n",
        f"{PICKS}::test_what_lies_outside_the_conditions_is_refused",
    ),
    Mutation(
        "losses: rounded towards the smaller sum",
        "pacbound/bounds/losses.py",
        "    y -= (np.abs(product) + y) * 2.0**-51\n",
        "    y += (np.abs(product) + y) * 2.0**-51\n",
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
        '        "zero flag", 1, "w = 0 is always',
        '        "zero flag", 0 if spec is not None and spec.projector else 1, "w = 0 is always',
        "tests/bits/test_message.py::test_both_branches_of_the_zero_flag_pay_for_it",
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
        "pacbound/certificate/recheck.py",
        "        if want != have:\n",
        "        if False:\n",
        f"{FORGERIES}::test_each_forgery_is_caught_first_at_its_level",
    ),
    Mutation(
        "verify lets fewer errors than there are pass",
        "pacbound/verification/verification.py",
        "    complaint = more if recount.errors > stated.errors else None\n",
        "    complaint = more if recount.errors < stated.errors else None\n",
        "tests/attacks/test_risk_forgeries.py"
        "::test_one_error_fewer_than_there_are_is_caught_by_counting_and_by_nothing_else",
    ),
    Mutation(
        "verify does not look at the digest of the data",
        "pacbound/verification/verification.py",
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
        "pacbound/certificate/recheck.py",
        "    if certificate.expected_digest() == certificate.digest:\n",
        "    if True:\n",
        f"{FORGERIES}::test_an_edit_without_a_new_digest_is_caught_by_the_digest",
    ),
    Mutation(
        "figures printed rounded down",
        "pacbound/certificate/statement.py",
        "quantize(PERCENT_STEP, ROUND_CEILING)",
        "quantize(PERCENT_STEP, ROUND_FLOOR)",
        "tests/certificate/test_statement.py"
        "::test_printed_risks_are_never_below_the_number_and_less_than_one_step_above",
    ),
    Mutation(
        "verify does not look at the rest of a split",
        "pacbound/verification/verification.py",
        "complaint=differ if rest.digest() != stated.digest else None)\n",
        "complaint=None)\n",
        "tests/attacks/test_split_forgeries.py::test_another_permutation_sent_and_paid_is_caught_by_the_examples",
    ),
    Mutation(
        "theta0 is trained on the rest of the split",
        "pacbound/pipeline/preparation.py",
        "    sample = Sample(preprocessed(split.first.x, setup.preprocess), split.first.y)\n",
        "    sample = Sample(preprocessed(split.rest.x, setup.preprocess), split.rest.y)\n",
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
        "training touches the caller's module",
        "pacbound/networks/hypothesis.py",
        "    copied = copy.deepcopy(module).eval()\n",
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
