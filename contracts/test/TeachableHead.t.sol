// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {TeachableHead} from "../src/TeachableHead.sol";
import {DensePerceptron} from "../src/classifiers/DensePerceptron.sol";
import {IClassifier} from "../src/interfaces/IClassifier.sol";
import {IHead} from "../src/interfaces/IHead.sol";
import {ITeachable} from "../src/interfaces/ITeachable.sol";
import {Lanes} from "../src/lib/Lanes.sol";
import {Test} from "./helpers/Vm.sol";

/// @notice This contract is the head's owner, and answers its question for the round.
contract TeachableHeadTest is Test {
    address private constant TEACHER = address(0x7eac);
    address private constant OWNER = address(0x0111);
    uint64 public lastRound;

    function test_constructor_refuses_shapes_that_no_transaction_could_write() public {
        // 319 words; and 321.
        vm.assertEq(new TeachableHead(2544, 2, 1, 1).wordCount(), 319);
        vm.expectRevert(abi.encodeWithSelector(IClassifier.WrongShape.selector, 2560, 2, 1));
        new TeachableHead(2560, 2, 1, 1);
    }

    function test_it_answers_as_head_and_as_classifier() public {
        TeachableHead head = _head(2);
        vm.assertEq(head.dimensions(), 17);
        vm.assertEq(head.classes(), 2);
        vm.assertEq(head.wordCount(), 5);
        vm.assertEq(head.encoderEvery(), 2);
        vm.assertEq(head.release(), 0);
        vm.assertEq(head.words(), _words(1));
        vm.assertEq(head.words(0, 5), _words(1));
    }

    function test_the_founder_alone_chooses_a_teacher_and_only_while_there_is_none() public {
        TeachableHead head = new TeachableHead(17, 2, 3, 2);
        vm.assertEq(head.founder(), address(this));
        head.transferOwnership(OWNER); // it may be the federation's already
        _refuseTeacher(head, address(0), address(0));
        _refuseTeacher(head, address(0), OWNER);
        address[2] memory others = [OWNER, TEACHER];
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ITeachable.NotFounder.selector, others[i]));
            vm.prank(others[i]);
            head.setTeacher(TEACHER);
        }
        vm.assertEq(head.teacher(), address(0));
        vm.expectEmit(address(head));
        emit ITeachable.TeacherSet(TEACHER);
        head.setTeacher(TEACHER);
        _refuseTeacher(head, TEACHER, address(1));
        _refuseTeacher(head, TEACHER, address(0));
        vm.assertEq(head.teacher(), TEACHER);
        // After it has ended, another.
        vm.prank(TEACHER);
        head.transferOwnership(address(2));
        head.setTeacher(address(1));
        vm.assertEq(head.teacher(), address(1));
        vm.assertEq(head.owner(), OWNER);
    }

    function test_only_the_teacher_teaches_and_not_the_owner() public {
        TeachableHead head = _head(2);
        vm.expectRevert(_unauthorized(address(this)));
        head.update(_features(1), 0);
        vm.prank(TEACHER);
        head.update(_features(1), 0);
    }

    function test_nobody_teaches_without_a_teacher() public {
        TeachableHead head = new TeachableHead(17, 2, 3, 2);
        head.load(0, _words(1));
        head.seal();
        vm.expectRevert(_unauthorized(address(this)));
        head.update(_features(1), 0);
    }

    function test_a_teacher_that_hands_it_on_ends_teaching_and_keeps_nothing() public {
        TeachableHead head = _head(2);
        vm.expectEmit(address(head));
        emit ITeachable.TeacherSet(address(0));
        vm.prank(TEACHER);
        head.transferOwnership(address(0xbad));
        vm.assertEq(head.owner(), address(this));
        vm.expectRevert(_unauthorized(TEACHER));
        vm.prank(TEACHER);
        head.update(_features(1), 0);
        vm.expectRevert(_unauthorized(TEACHER));
        vm.prank(TEACHER);
        head.transferOwnership(TEACHER);
        head.transferOwnership(address(1)); // the owner still can
        vm.assertEq(head.owner(), address(1));
    }

    function test_write_is_the_owners_and_refuses_what_a_head_refuses() public {
        TeachableHead head = _head(2);
        bytes32 before = _state(head);
        uint256[] memory words = _words(2);
        vm.expectRevert(_unauthorized(TEACHER));
        vm.prank(TEACHER);
        head.write(words);
        vm.expectRevert(abi.encodeWithSelector(IHead.WrongWordCount.selector, 4, 5));
        head.write(new uint256[](4));
        words[1] |= 1 << 16; // the second word of a row has one weight
        vm.expectRevert(abi.encodeWithSelector(IClassifier.WrongWord.selector, 1));
        head.write(words);
        words = _words(2);
        words[4] |= 1 << 64; // two biases
        vm.expectRevert(abi.encodeWithSelector(IClassifier.WrongWord.selector, 4));
        head.write(words);
        vm.assertEq(_state(head), before);
    }

    function test_write_waits_for_the_seal_and_load_refuses_padding() public {
        TeachableHead head = new TeachableHead(17, 2, 3, 2);
        vm.expectRevert(abi.encodeWithSelector(IClassifier.WrongLoadState.selector, false));
        head.write(_words(1));
        uint256[] memory words = _words(1);
        words[1] |= 1 << 16;
        vm.expectRevert(abi.encodeWithSelector(IClassifier.WrongWord.selector, 1));
        head.load(0, words);
    }

    function test_every_kth_round_replaces_and_the_others_do_not() public {
        uint64[3] memory every = [uint64(0), 1, 3];
        for (uint256 e = 0; e < 3; ++e) {
            TeachableHead head = _head(every[e]);
            uint256 release = 0;
            for (uint64 round = 1; round < 8; ++round) {
                _teach(head, round);
                bytes32 taught = keccak256(abi.encode(head.words(0, 5)));
                lastRound = round;
                bool replaces = every[e] != 0 && round % every[e] == 0;
                if (replaces) release += 1;
                vm.expectEmit(address(head));
                emit ITeachable.HeadMerged(round, release, replaces);
                head.write(head.words()); // the same head again
                vm.assertEq(head.release(), release);
                if (replaces) vm.assertEq(head.words(0, 5), head.words());
                else vm.assertEq(keccak256(abi.encode(head.words(0, 5))), taught);
            }
        }
    }

    function test_without_contributions_live_and_written_words_are_the_same() public {
        TeachableHead head = _head(0);
        for (uint64 round = 1; round < 5; ++round) {
            lastRound = round;
            head.write(_words(round));
            vm.assertEq(head.words(0, 5), _words(round));
            vm.assertEq(head.words(), _words(round));
        }
    }

    /// @notice Live numbers near the ends, as often as not: each moves by the difference, and
    /// stops at the ends.
    function testFuzz_a_head_only_round_moves_every_number_by_what_it_moved(
        uint256 seed,
        uint8 lessons
    ) public {
        lastRound = 1;
        TeachableHead head = _headOf(2, _edgeWords(seed));
        for (uint256 i = 0; i < lessons % 4; ++i) {
            _teach(head, uint256(keccak256(abi.encode(seed, i))));
        }
        uint256[] memory live = head.words(0, 5);
        uint256[] memory last = head.words();
        uint256[] memory next = _edgeWords(uint256(keccak256(abi.encode(seed))));
        head.write(next);
        for (uint256 i = 0; i < 5; ++i) {
            vm.assertEq(head.words(i, 1)[0], _plain(live[i], last[i], next[i], i < 4 ? 16 : 32));
        }
        vm.assertEq(head.words(), next);
        vm.assertEq(head.release(), 0);
    }

    /// @notice What is live keeps its distance from what is written, while nothing stops.
    function testFuzz_what_was_taught_survives_rounds_that_train_the_head_only(uint256 seed) public {
        TeachableHead head = _headOf(0, _smallWords(seed));
        DensePerceptron alone = new DensePerceptron(17, 2, 3);
        alone.load(0, _smallWords(seed));
        alone.seal();
        for (uint64 round = 1; round < 4; ++round) {
            bytes memory features = _features(uint256(keccak256(abi.encode(seed, round))));
            // The same mistake for both: what they learn depends on what they say before.
            (uint256 said,) = alone.predict(features);
            vm.assertEq(said, _predict(head, features));
            vm.prank(TEACHER);
            head.update(features, 1 - said);
            alone.update(features, 1 - said);
            vm.assertEq(head.words(0, 5), alone.words(0, 5));
            lastRound = round;
            head.write(_smallWords(seed)); // nothing moved, so nothing moves
            vm.assertEq(head.words(0, 5), alone.words(0, 5));
        }
        // A round takes all to zero: exactly what was taught is left.
        uint256[] memory taught = head.words(0, 5);
        uint256[] memory last = head.words();
        lastRound = 4;
        head.write(new uint256[](5));
        for (uint256 i = 0; i < 5; ++i) {
            vm.assertEq(head.words(i, 1)[0], _plain(taught[i], last[i], 0, i < 4 ? 16 : 32));
        }
    }

    /// @notice The largest head, every word of which comes in as zero and leaves as something,
    /// live and written: the dearest write there is.
    function test_the_largest_write_fits_into_a_transaction() public {
        TeachableHead head = new TeachableHead(2544, 2, 1, 0);
        uint256[] memory words = new uint256[](319);
        head.load(0, words);
        head.seal();
        lastRound = 1;
        for (uint256 i = 0; i < 318; ++i) {
            words[i] = uint256(keccak256(abi.encode(i)));
        }
        words[318] = 1;
        uint256 before = gasleft();
        head.write(words);
        uint256 used = before - gasleft();
        vm.snapshotValue("TeachableHead", "write, 319 words from zero, execution", used);
        // 21,000, 319 words of calldata at 16 gas a byte, 1,000,000 for the rest of finalizeRound.
        vm.assertLe(used + 21_000 + 319 * 32 * 16 + 1_000_000, 2 ** 24);
    }

    /// @notice Every corner: ends, zero and their neighbours, in each lane of 16 and of 32 bits.
    function test_lanes_at_every_corner() public pure {
        int256[7] memory n16 =
            [int256(-32768), -32767, -1, int256(0), int256(1), int256(32766), int256(32767)];
        for (uint256 a = 0; a < 7; ++a) {
            for (uint256 b = 0; b < 7; ++b) {
                for (uint256 c = 0; c < 7; ++c) {
                    uint256 at = 16 * ((a + b + c) % 16);
                    _corner(n16[a], n16[b], n16[c], at, 16);
                    at = 32 * ((a + b + c) % 8);
                    _corner(n16[a] << 16, n16[b] << 16, n16[c] << 16, at, 32);
                }
            }
        }
    }

    function _corner(int256 live, int256 last, int256 next, uint256 at, uint256 bits) private pure {
        uint256 mask = (1 << bits) - 1;
        uint256 moved = Lanes.shift(
            (uint256(live) & mask) << at, (uint256(last) & mask) << at, (uint256(next) & mask) << at, bits
        );
        int256 sum = live + next - last;
        int256 top = int256(1 << (bits - 1)) - 1;
        if (sum > top) sum = top;
        if (sum < -top - 1) sum = -top - 1;
        vm.assertEq(moved, (uint256(sum) & mask) << at);
    }

    /// @dev Lane by lane, by another way: through bytes, as Solidity's own types.
    function _plain(uint256 live, uint256 last, uint256 next, uint256 bits)
        private
        pure
        returns (uint256 moved)
    {
        for (uint256 at = 0; at < 256; at += bits) {
            int256 sum;
            if (bits == 16) {
                sum = int256(int16(uint16(live >> at))) + int16(uint16(next >> at))
                    - int16(uint16(last >> at));
                if (sum > 32767) sum = 32767;
                if (sum < -32768) sum = -32768;
                moved |= uint256(uint16(int16(sum))) << at;
            } else {
                sum = int256(int32(uint32(live >> at))) + int32(uint32(next >> at))
                    - int32(uint32(last >> at));
                if (sum > type(int32).max) sum = type(int32).max;
                if (sum < type(int32).min) sum = type(int32).min;
                moved |= uint256(uint32(int32(sum))) << at;
            }
        }
    }

    function _head(uint256 every) private returns (TeachableHead) {
        return _headOf(every, _words(1));
    }

    function _headOf(uint256 every, uint256[] memory words) private returns (TeachableHead head) {
        head = new TeachableHead(17, 2, 3, every);
        head.load(0, words);
        head.seal();
        head.setTeacher(TEACHER);
    }

    function _teach(TeachableHead head, uint256 seed) private {
        bytes memory features = _features(seed);
        uint256 wrong = 1 - _predict(head, features);
        vm.prank(TEACHER);
        head.update(features, wrong);
    }

    function _refuseTeacher(TeachableHead head, address current, address given) private {
        vm.expectRevert(abi.encodeWithSelector(ITeachable.WrongTeacher.selector, current, given));
        head.setTeacher(given);
    }

    function _predict(TeachableHead head, bytes memory features) private view returns (uint256 class) {
        (class,) = head.predict(features);
    }

    function _state(TeachableHead head) private view returns (bytes32) {
        return keccak256(abi.encode(head.words(), head.words(0, 5), head.release(), head.teacher()));
    }

    /// @dev 17 features, 2 classes: two words a row, of which the second has one weight.
    function _mask(uint256[] memory words) private pure returns (uint256[] memory) {
        words[1] &= 0xffff;
        words[3] &= 0xffff;
        words[4] &= type(uint64).max;
        return words;
    }

    function _words(uint256 seed) private pure returns (uint256[] memory words) {
        words = new uint256[](5);
        for (uint256 i = 0; i < 5; ++i) {
            words[i] = uint256(keccak256(abi.encode(seed, i)));
        }
        return _mask(words);
    }

    /// @dev Every number at an end of its type or next to it, or anything: a quarter each.
    function _edgeWords(uint256 seed) private pure returns (uint256[] memory words) {
        words = _words(seed);
        for (uint256 i = 0; i < 5; ++i) {
            uint256 bits = i < 4 ? 16 : 32;
            for (uint256 at = 0; at < 256; at += bits) {
                uint256 which = (uint256(keccak256(abi.encode(seed, i, at))) >> 8) % 4;
                if (which == 0) continue;
                uint256 mask = (1 << bits) - 1;
                uint256 value = which == 1 ? mask >> 1 : which == 2 ? (mask >> 1) + 1 : (mask >> 1) - 1;
                words[i] = (words[i] & ~(mask << at)) | (value << at);
            }
        }
        return _mask(words);
    }

    /// @dev Numbers from 0 to 255: far from the ends.
    function _smallWords(uint256 seed) private pure returns (uint256[] memory words) {
        words = _words(seed);
        for (uint256 i = 0; i < 5; ++i) {
            words[i] &= i < 4
                ? 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff
                : 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff;
        }
    }

    function _features(uint256 seed) private pure returns (bytes memory features) {
        features = new bytes(17);
        bytes32 random = keccak256(abi.encode("features", seed));
        for (uint256 i = 0; i < 17; ++i) {
            features[i] = random[i];
        }
    }

    function _unauthorized(address who) private pure returns (bytes memory) {
        return abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, who);
    }
}
