// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {KeyHolders} from "../src/KeyHolders.sol";
import {IFederation} from "../src/interfaces/IFederation.sol";
import {IKeyHolders} from "../src/interfaces/IKeyHolders.sol";
import {FederationFixture} from "./helpers/FederationFixture.sol";
import {HolderSigner} from "./helpers/HolderSigner.sol";

contract KeyHoldersTest is FederationFixture {
    using HolderSigner for uint256[];

    uint256 private constant ORDER =
        0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
    bytes32 private constant MESSAGE = keccak256("message");
    bytes32 private constant KEY = keccak256("key 1");
    bytes32 private constant NEXT_KEY = keccak256("key 2");
    bytes32 private constant CEREMONY = keccak256("ceremony");
    uint64 private constant GRACE_S = 3600;

    KeyHolders private parties;
    uint256[] private first; // the holders of epoch 1: 3 of 5
    uint256[] private second; // other accounts: 2 of 3

    function setUp() public {
        vm.warp(START);
        first = HolderSigner.keys("first", 5);
        second = HolderSigner.keys("second", 3);
        parties = new KeyHolders(first.accounts(), 3, KEY, CEREMONY, GRACE_S);
    }

    function test_an_epoch_is_what_was_registered() public {
        vm.assertEq(parties.epochCount(), 1);
        vm.assertEq(parties.graceSeconds(), GRACE_S);
        _checkEpoch(1, KEY, first.accounts(), 3);
        vm.roll(block.number + 7);
        vm.warp(START + 99);
        _rekey();
        vm.assertEq(parties.epochCount(), 2);
        _checkEpoch(2, NEXT_KEY, second.accounts(), 2);
    }

    function test_registering_is_an_event() public {
        address[] memory holders = second.accounts();
        bytes memory signatures = first.sign(0x7, _rekeyDigest(2, NEXT_KEY, holders, 2));
        vm.expectEmit(address(parties));
        emit IKeyHolders.KeyRegistered(2, NEXT_KEY, CEREMONY, 2, holders);
        parties.rekey(NEXT_KEY, CEREMONY, holders, 2, signatures);
    }

    function test_there_are_no_other_epochs() public {
        for (uint64 i = 0; i < 3; i += 2) {
            vm.expectRevert(abi.encodeWithSelector(IKeyHolders.UnknownEpoch.selector, i, 1));
            parties.epoch(i);
        }
    }

    function test_it_says_what_it_is() public view {
        vm.assertTrue(parties.supportsInterface(type(IKeyHolders).interfaceId));
        vm.assertTrue(parties.supportsInterface(type(IERC1271).interfaceId));
        vm.assertTrue(parties.supportsInterface(type(IERC165).interfaceId));
        vm.assertFalse(parties.supportsInterface(0xffffffff));
    }

    // Rules of an epoch, the same for the first and for each later one.

    function test_refuses_too_few_and_too_many_holders() public {
        for (uint256 i = 0; i < 2; ++i) {
            _refuseEpoch(
                _some(i), 2, KEY, abi.encodeWithSelector(IKeyHolders.WrongHolderCount.selector, i)
            );
        }
        _refuseEpoch(
            _some(65), 33, KEY, abi.encodeWithSelector(IKeyHolders.WrongHolderCount.selector, 65)
        );
        new KeyHolders(_some(2), 2, KEY, CEREMONY, 0);
        vm.assertEq(_holdersOf(new KeyHolders(_some(64), 64, KEY, CEREMONY, 0), 1).length, 64);
    }

    function test_refuses_thresholds() public {
        uint8[8] memory bad = [0, 1, 3, 2, 2, 0, 6, 255];
        uint8[8] memory of_ = [2, 2, 2, 4, 5, 5, 5, 5];
        for (uint256 i = 0; i < bad.length; ++i) {
            _refuseEpoch(_some(of_[i]), bad[i], KEY, _badThreshold(bad[i], of_[i]));
        }
        _refuseEpoch(_some(5), 1 << 255, KEY, _badThreshold(1 << 255, 5)); // twice this is zero
        _refuseEpoch(_some(5), 256 + 3, KEY, _badThreshold(256 + 3, 5)); // of which a byte is 3
        uint8[6] memory good = [2, 2, 3, 3, 5, 33];
        uint8[6] memory among = [2, 3, 3, 5, 5, 64];
        for (uint256 i = 0; i < good.length; ++i) {
            new KeyHolders(_some(among[i]), good[i], KEY, CEREMONY, 0);
        }
    }

    function test_refuses_holders_out_of_order() public {
        address[] memory holders = _some(3);
        (holders[1], holders[2]) = (holders[2], holders[1]);
        _refuseEpoch(holders, 2, KEY, _unordered(2, holders[2]));
        holders[2] = holders[1]; // twice
        _refuseEpoch(holders, 2, KEY, _unordered(2, holders[2]));
        holders = _some(3);
        holders[0] = address(0);
        _refuseEpoch(holders, 2, KEY, _unordered(0, address(0)));
    }

    function test_refuses_digests_of_zero() public {
        bytes memory error_ = abi.encodeWithSelector(IKeyHolders.ZeroDigest.selector);
        _refuseEpoch(_some(3), 2, 0, error_);
        vm.expectRevert(error_);
        new KeyHolders(_some(3), 2, KEY, 0, 0);
    }

    function test_refuses_a_key_of_before() public {
        bytes memory error_ = abi.encodeWithSelector(IKeyHolders.KeyUsedBefore.selector, KEY, 1);
        _refuseRekey(KEY, second.accounts(), 2, _authorised(KEY, second.accounts(), 2), error_);
        _rekey();
        bytes32 digest = _rekeyDigest(3, KEY, first.accounts(), 3);
        _refuseRekey(KEY, first.accounts(), 3, second.sign(0x3, digest), error_);
    }

    // A new epoch is for the current one's holders.

    function test_rekey_by_any_holders_from_the_threshold_on() public {
        for (uint256 who = 0; who < 32; ++who) {
            KeyHolders one_ = new KeyHolders(first.accounts(), 3, KEY, CEREMONY, 0);
            bytes32 digest = HolderSigner.rekeyDigest(
                one_, 2, NEXT_KEY, CEREMONY, second.accounts(), 2
            );
            vm.prank(STRANGER);
            (bool ok, bytes memory answer) = address(one_).call(
                abi.encodeCall(
                    one_.rekey,
                    (NEXT_KEY, CEREMONY, second.accounts(), 2, first.sign(who, digest))
                )
            );
            vm.assertEq(ok, _ones(who) >= 3);
            if (!ok) vm.assertEq(answer, _unsigned(1, 3));
        }
    }

    function test_rekey_refuses_outsiders() public {
        bytes32 digest = _rekeyDigest(2, NEXT_KEY, second.accounts(), 2);
        _refuseRekeySigned(second.sign(0x7, digest)); // those who would be the new holders
        _refuseRekeySigned(bytes.concat(first.sign(0x3, digest), second.sign(0x1, digest)));
        _refuseRekeySigned(bytes.concat(second.sign(0x1, digest), first.sign(0x18, digest)));
        _refuseRekeySigned("");
        _refuseRekeySigned(new bytes(195));
    }

    function test_rekey_refuses_one_signer_thrice_and_disorder() public {
        bytes32 digest = _rekeyDigest(2, NEXT_KEY, second.accounts(), 2);
        bytes memory low = first.sign(0x1, digest);
        bytes memory high = first.sign(0x10, digest);
        _refuseRekeySigned(bytes.concat(low, low, low));
        _refuseRekeySigned(bytes.concat(low, low, high));
        _refuseRekeySigned(bytes.concat(high, first.sign(0x3, digest)));
        _refuseRekeySigned(bytes.concat(first.sign(0x7, digest), hex"00"));
        _refuseRekeySigned(bytes.concat(first.sign(0x7, digest), low));
    }

    function test_rekey_refuses_what_was_signed_for_something_else() public {
        address[] memory holders = second.accounts();
        bytes32[6] memory digests = [
            _rekeyDigest(1, NEXT_KEY, holders, 2),
            _rekeyDigest(3, NEXT_KEY, holders, 2),
            _rekeyDigest(2, keccak256("another key"), holders, 2),
            _rekeyDigest(2, NEXT_KEY, holders, 3),
            _rekeyDigest(2, NEXT_KEY, first.accounts(), 2),
            HolderSigner.rekeyDigest(parties, 2, NEXT_KEY, KEY, holders, 2) // another ceremony
        ];
        for (uint256 i = 0; i < digests.length; ++i) {
            _refuseRekeySigned(first.sign(0x7, digests[i]));
        }
        KeyHolders other = new KeyHolders(first.accounts(), 3, KEY, CEREMONY, GRACE_S);
        _refuseRekeySigned(
            first.sign(
                0x7, HolderSigner.rekeyDigest(other, 2, NEXT_KEY, CEREMONY, holders, 2)
            )
        );
        uint256 chain = block.chainid;
        vm.chainId(chain + 1); // a fork of the chain
        bytes32 elsewhere = _rekeyDigest(2, NEXT_KEY, holders, 2);
        vm.chainId(chain);
        _refuseRekeySigned(first.sign(0x7, elsewhere));
    }

    function test_a_rekey_serves_once() public {
        // Back and forth between the same holders, so that they could sign it again.
        address[] memory holders = first.accounts();
        bytes memory signatures = _authorised(NEXT_KEY, holders, 3);
        parties.rekey(NEXT_KEY, CEREMONY, holders, 3, signatures);
        _refuseRekey(NEXT_KEY, holders, 3, signatures, _unsigned(2, 3));
    }

    function test_the_holders_of_before_rekey_no_more() public {
        _rekey();
        bytes32 digest = _rekeyDigest(3, keccak256("key 3"), first.accounts(), 3);
        _refuseRekey(keccak256("key 3"), first.accounts(), 3, first.sign(0x1f, digest), _unsigned(2, 2));
    }

    // What they sign.

    function test_exactly_the_threshold_signs() public view {
        for (uint256 who = 0; who < 32; ++who) {
            vm.assertEq(_valid(1, first.sign(who, MESSAGE)), _ones(who) == 3);
        }
    }

    function test_refuses_outsiders_doubles_and_disorder() public view {
        bytes memory low = first.sign(0x1, MESSAGE);
        bytes memory middle = first.sign(0x4, MESSAGE);
        bytes memory high = first.sign(0x10, MESSAGE);
        vm.assertTrue(_valid(1, bytes.concat(low, middle, high)));
        vm.assertFalse(_valid(1, bytes.concat(low, high, middle)));
        vm.assertFalse(_valid(1, bytes.concat(high, middle, low)));
        vm.assertFalse(_valid(1, bytes.concat(low, low, high)));
        vm.assertFalse(_valid(1, bytes.concat(low, high, high)));
        vm.assertFalse(_valid(1, bytes.concat(low, low, low)));
        vm.assertFalse(_valid(1, second.sign(0x7, MESSAGE)));
        for (uint256 i = 0; i < 3; ++i) {
            bytes memory outsider = second.sign(1 << i, MESSAGE);
            vm.assertFalse(_valid(1, bytes.concat(low, middle, outsider)));
            vm.assertFalse(_valid(1, bytes.concat(low, outsider, high)));
            vm.assertFalse(_valid(1, bytes.concat(outsider, middle, high)));
        }
    }

    function test_refuses_another_hash() public view {
        vm.assertEq(
            parties.isValidSignature(
                keccak256("other"), _joined(1, first.sign(0x7, MESSAGE))
            ) == IERC1271.isValidSignature.selector,
            false
        );
    }

    function test_refuses_wrong_epochs() public {
        bytes memory signatures = first.sign(0x7, MESSAGE);
        uint64[4] memory none = [0, 2, 1 << 63, type(uint64).max];
        for (uint256 i = 0; i < none.length; ++i) {
            vm.assertFalse(_valid(none[i], signatures));
        }
        _rekey();
        vm.assertFalse(_valid(2, signatures));
        vm.assertFalse(_valid(2, first.sign(0x3, MESSAGE)));
        vm.assertFalse(_valid(1, second.sign(0x3, MESSAGE)));
        vm.assertTrue(_valid(2, second.sign(0x3, MESSAGE)));
    }

    function test_grace_ends_to_the_second() public {
        bytes memory signatures = first.sign(0x7, MESSAGE);
        vm.warp(START + 10 * GRACE_S); // an epoch lasts as long as it is the current one
        vm.assertTrue(_valid(1, signatures));
        _rekey();
        vm.assertTrue(_valid(1, signatures));
        vm.warp(START + 11 * GRACE_S);
        vm.assertTrue(_valid(1, signatures));
        vm.warp(START + 11 * GRACE_S + 1);
        vm.assertFalse(_valid(1, signatures));
        vm.assertTrue(_valid(2, second.sign(0x3, MESSAGE)));
    }

    /// @dev From its own successor on, not from the latest epoch.
    function test_grace_is_not_renewed_by_a_later_epoch() public {
        _rekey();
        vm.warp(START + GRACE_S);
        bytes32 digest = _rekeyDigest(3, keccak256("key 3"), first.accounts(), 3);
        parties.rekey(
            keccak256("key 3"), CEREMONY, first.accounts(), 3, second.sign(0x6, digest)
        );
        vm.assertTrue(_valid(1, first.sign(0x7, MESSAGE)));
        vm.warp(START + GRACE_S + 1);
        vm.assertFalse(_valid(1, first.sign(0x7, MESSAGE)));
        vm.assertTrue(_valid(2, second.sign(0x3, MESSAGE)));
        vm.assertTrue(_valid(3, first.sign(0x7, MESSAGE)));
    }

    function test_a_grace_without_end_does_not_overflow() public {
        parties = new KeyHolders(first.accounts(), 3, KEY, CEREMONY, type(uint64).max);
        _rekey();
        vm.warp(START + 1e9);
        vm.assertTrue(_valid(1, first.sign(0x7, MESSAGE)));
    }

    function test_refuses_a_second_form_of_a_signature() public view {
        bytes32 r;
        bytes32 s;
        uint8 v;
        (v, r, s) = vm.sign(first[2], MESSAGE);
        bytes memory two = first.sign(0x3, MESSAGE);
        vm.assertTrue(_valid(1, bytes.concat(two, abi.encodePacked(r, s, v))));
        bytes32 highS = bytes32(ORDER - uint256(s));
        uint8 otherV = v == 27 ? 28 : 27;
        vm.assertEq(ecrecover(MESSAGE, otherV, r, highS), vm.addr(first[2])); // which takes it
        vm.assertFalse(_valid(1, bytes.concat(two, abi.encodePacked(r, highS, otherV))));
        vm.assertFalse(_valid(1, bytes.concat(two, abi.encodePacked(r, s, v - 27))));
    }

    /// forge-config: default.fuzz.runs = 128
    function testFuzz_refuses_a_flipped_bit(uint256 bit) public view {
        bytes memory signature = _joined(1, first.sign(0x15, MESSAGE));
        bit = bit % (8 * signature.length);
        signature[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
        vm.assertFalse(_accepts(signature));
    }

    /// forge-config: default.fuzz.runs = 128
    function testFuzz_refuses_what_is_cut_or_padded(uint256 length, bytes calldata more) public view {
        bytes memory signature = _joined(1, first.sign(0x15, MESSAGE));
        vm.assertTrue(_accepts(signature));
        if (more.length > 0) vm.assertFalse(_accepts(bytes.concat(signature, more)));
        length = length % signature.length;
        assembly ("memory-safe") {
            mstore(signature, length)
        }
        vm.assertFalse(_accepts(signature));
    }

    /// @dev An answer, never a revert.
    function testFuzz_any_bytes_are_answered(bytes32 hash, bytes calldata any) public view {
        vm.assertEq(bytes32(parties.isValidSignature(hash, any)), bytes32(bytes4(0xffffffff)));
        bytes memory long = bytes.concat(abi.encodePacked(uint64(1)), any, new bytes(195));
        assembly ("memory-safe") {
            mstore(long, 203)
        }
        vm.assertEq(bytes32(parties.isValidSignature(hash, long)), bytes32(bytes4(0xffffffff)));
    }

    // As a federation's key holder.

    function test_a_round_is_finalised_by_the_holders() public {
        uint64 round = _sealedRound();
        bytes32 message = federation.openingMessage(round, SUM, OPENED);
        _refuseOpening(round, _joined(1, first.sign(0x3, message)));
        _refuseOpening(round, _joined(1, second.sign(0x7, message)));
        _refuseOpening(round, first.sign(0x7, message));
        _refuseOpening(round, HolderSigner.one(first[0], message));
        _refuseOpening(round, "");
        _refuseOpening(
            round, _joined(1, first.sign(0x7, federation.openingMessage(round, SUM, SCORES)))
        );
        (bool ok,) = address(federation).call(_finalizing(round, _joined(1, first.sign(0x1c, message))));
        vm.assertTrue(ok);
        vm.assertEq(federation.modelDigest(), modelOf(round));
    }

    function test_a_round_that_runs_while_holders_change() public {
        uint64 round = _sealedRound();
        _rekey();
        bytes32 message = federation.openingMessage(round, SUM, OPENED);
        bytes memory old = _joined(1, first.sign(0x7, message));
        vm.warp(block.timestamp + GRACE_S + 1);
        vm.assertFalse(parties.isValidSignature(message, old) == IERC1271.isValidSignature.selector);
        vm.warp(block.timestamp - 1);
        vm.assertTrue(parties.isValidSignature(message, old) == IERC1271.isValidSignature.selector);
        vm.warp(START + SUBMIT_S + 1);
        (bool ok,) = address(federation).call(_finalizing(round, old));
        vm.assertTrue(ok);
    }

    /// @dev Two federations with the same holders: each has its own domain.
    function test_an_opening_serves_one_federation() public {
        uint64 round = _sealedRound();
        bytes32 there = federation.openingMessage(round, SUM, OPENED);
        bytes memory signature = _joined(1, first.sign(0x7, there));
        uint64 here = _sealedRound();
        vm.assertEq(here, round);
        _refuseOpening(here, signature);
    }

    function _sealedRound() private returns (uint64 round) {
        IFederation.Rules memory rules = defaultRules();
        rules.keyHolder = address(parties);
        deploy(rules);
        inviteAndRegister(4);
        round = open();
        submitMany(round, 4);
        afterSubmitting(round);
        seal(round, 0xf);
    }

    function _finalizing(uint64 round, bytes memory opening) private view returns (bytes memory) {
        return finalizingWith(
            round, resultOf(round), opening, headWords(round), 0xf, quorumSignature(round, 0xf)
        );
    }

    function _refuseOpening(uint64 round, bytes memory opening) private {
        refuse(
            COORDINATOR,
            0,
            _finalizing(round, opening),
            abi.encodeWithSelector(IFederation.InvalidOpeningSignature.selector)
        );
    }

    function _joined(uint64 epoch, bytes memory signatures) private pure returns (bytes memory) {
        return abi.encodePacked(epoch, signatures);
    }

    function _valid(uint64 epoch, bytes memory signatures) private view returns (bool) {
        return _accepts(_joined(epoch, signatures));
    }

    function _accepts(bytes memory signature) private view returns (bool) {
        bytes4 answer = parties.isValidSignature(MESSAGE, signature);
        vm.assertTrue(answer == 0x1626ba7e || answer == 0xffffffff);
        return answer == 0x1626ba7e;
    }

    function _rekeyDigest(uint64 epoch, bytes32 key, address[] memory holders, uint256 threshold)
        private
        view
        returns (bytes32)
    {
        return HolderSigner.rekeyDigest(parties, epoch, key, CEREMONY, holders, threshold);
    }

    /// @dev Signatures of the first epoch's holders for a second one.
    function _authorised(bytes32 key, address[] memory holders, uint256 threshold)
        private
        view
        returns (bytes memory)
    {
        return first.sign(0x13, _rekeyDigest(2, key, holders, threshold));
    }

    function _rekey() private {
        address[] memory holders = second.accounts();
        parties.rekey(NEXT_KEY, CEREMONY, holders, 2, _authorised(NEXT_KEY, holders, 2));
    }

    /// @dev Neither a first epoch, nor a later one that the holders themselves signed.
    function _refuseEpoch(address[] memory holders, uint256 threshold, bytes32 key, bytes memory error_)
        private
    {
        vm.expectRevert(error_);
        new KeyHolders(holders, threshold, key, CEREMONY, 0);
        bytes32 next = key == KEY ? NEXT_KEY : key;
        _refuseRekey(next, holders, threshold, _authorised(next, holders, threshold), error_);
    }

    function _refuseRekeySigned(bytes memory signatures) private {
        _refuseRekey(NEXT_KEY, second.accounts(), 2, signatures, _unsigned(1, 3));
    }

    /// @dev `rekey` reverts with exactly this error and registers nothing.
    function _refuseRekey(
        bytes32 key,
        address[] memory holders,
        uint256 threshold,
        bytes memory signatures,
        bytes memory error_
    ) private {
        uint64 count = parties.epochCount();
        (bool ok, bytes memory answer) = address(parties).call(
            abi.encodeCall(parties.rekey, (key, CEREMONY, holders, threshold, signatures))
        );
        vm.assertFalse(ok, "was not refused");
        vm.assertEq(answer, error_);
        vm.assertEq(parties.epochCount(), count);
    }

    function _checkEpoch(uint64 number, bytes32 key, address[] memory holders, uint256 needed)
        private
        view
    {
        (
            bytes32 keyDigest,
            bytes32 ceremonyDigest,
            uint256 threshold,
            uint64 registeredAt,
            uint64 registeredBlock,
            address[] memory found
        ) = parties.epoch(number);
        vm.assertEq(keyDigest, key);
        vm.assertEq(ceremonyDigest, CEREMONY);
        vm.assertEq(threshold, needed);
        vm.assertEq(registeredAt, block.timestamp);
        vm.assertEq(registeredBlock, block.number);
        vm.assertEq(abi.encode(found), abi.encode(holders));
    }

    function _holdersOf(KeyHolders of_, uint64 number) private view returns (address[] memory found) {
        (,,,,, found) = of_.epoch(number);
    }

    function _some(uint256 count) private pure returns (address[] memory holders) {
        holders = new address[](count);
        for (uint256 i = 0; i < count; ++i) {
            holders[i] = address(uint160(0xA000 + i));
        }
    }

    function _ones(uint256 bits) private pure returns (uint256 count) {
        for (; bits != 0; bits >>= 1) {
            count += bits & 1;
        }
    }

    function _unsigned(uint64 epoch, uint256 needed) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IKeyHolders.HoldersDidNotSign.selector, epoch, needed);
    }

    function _badThreshold(uint256 threshold, uint256 count) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IKeyHolders.InvalidThreshold.selector, threshold, count);
    }

    function _unordered(uint256 position, address holder) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IKeyHolders.HoldersNotAscending.selector, position, holder);
    }
}
