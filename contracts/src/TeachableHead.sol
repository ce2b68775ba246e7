// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {DensePerceptron} from "./classifiers/DensePerceptron.sol";
import {IFederation} from "./interfaces/IFederation.sol";
import {IHead} from "./interfaces/IHead.sol";
import {ITeachable} from "./interfaces/ITeachable.sol";
import {DenseDot} from "./lib/DenseDot.sol";
import {Digests} from "./lib/Digests.sol";
import {Lanes} from "./lib/Lanes.sol";

/// @title A federation's head that contributions of data teach between its rounds.
/// @notice The deployer loads and seals it as any classifier, and hands it to the federation, which
/// writes it as any head. Before or after that it chooses who teaches, usually a trainer.
/// @dev `IHead` in all its functions, but not by name: its errors share names with IClassifier's.
contract TeachableHead is DensePerceptron, ITeachable {
    /// @dev A write of so many words, none of which was there, fits beside the rest of
    /// `finalizeRound` into one transaction of 2^24 gas (EIP-7825).
    uint256 private constant MAX_HEAD_WORDS = 320;

    /// @inheritdoc ITeachable
    uint256 public immutable encoderEvery;
    /// @inheritdoc ITeachable
    address public immutable founder;

    /// @inheritdoc ITeachable
    address public teacher;
    /// @dev Shares its slot with the teacher.
    uint64 private _release;
    /// @dev What the federation last wrote.
    uint256[MAX_HEAD_WORDS] private _written;

    constructor(uint256 features, uint256 classes_, uint256 learningRate, uint256 encoderEvery_)
        DensePerceptron(features, classes_, learningRate)
    {
        require(wordCount <= MAX_HEAD_WORDS, WrongShape(features, classes_, learningRate));
        encoderEvery = encoderEvery_;
        founder = msg.sender;
    }

    /// @inheritdoc ITeachable
    function setTeacher(address teacher_) external {
        require(msg.sender == founder, NotFounder(msg.sender));
        // An owner that teaches could not hand the head on: see below.
        require(
            teacher == address(0) && teacher_ != address(0) && teacher_ != owner(),
            WrongTeacher(teacher, teacher_)
        );
        teacher = teacher_;
        emit TeacherSet(teacher_);
    }

    /// @notice By the owner: hands the head to another. By the teacher, as a trainer does when it
    /// closes: ends its teaching; the head stays the owner's, whatever address is given.
    function transferOwnership(address newOwner) public override {
        if (msg.sender != teacher) return super.transferOwnership(newOwner);
        teacher = address(0);
        emit TeacherSet(address(0));
    }

    /// @notice Takes in a round's head; the owner, which is a federation, in `finalizeRound`.
    /// @param words_ as in `IHead.write`.
    function write(uint256[] calldata words_) external onlyOwner {
        _requireSealed();
        require(words_.length == wordCount, IHead.WrongWordCount(words_.length, wordCount));
        _requirePadding(0, words_);
        // Rounds run one at a time: the one that is finalised now is the last.
        uint64 round = IFederation(msg.sender).lastRound();
        bool replaces = encoderEvery != 0 && round % encoderEvery == 0;
        if (replaces) _release += 1;
        uint256 firstBias = classLimit * ((featureLimit - 1) / DenseDot.WEIGHTS_PER_WORD + 1);
        for (uint256 i = 0; i < words_.length; ++i) {
            uint256 next = words_[i];
            _words[i] = replaces
                ? next
                : Lanes.shift(_words[i], _written[i], next, i < firstBias ? 16 : 32);
            _written[i] = next;
        }
        emit IHead.HeadWritten(Digests.headDigest(words_));
        emit HeadMerged(round, _release, replaces);
    }

    /// @notice The words that the federation last wrote: its model's last layer.
    function words() external view returns (uint256[] memory words_) {
        words_ = new uint256[](wordCount);
        for (uint256 i = 0; i < words_.length; ++i) {
            words_[i] = _written[i];
        }
    }

    /// @notice Number of int8 features.
    function dimensions() external view returns (uint256) {
        return featureLimit;
    }

    /// @notice Number of classes.
    function classes() external view returns (uint256) {
        return classLimit;
    }

    /// @notice Number of rounds that trained the encoder: what features mean.
    function release() external view override returns (uint256) {
        return _release;
    }

    /// @dev What is loaded is the federation's first head.
    function _accept(uint256 offset, uint256[] calldata words_) internal override {
        super._accept(offset, words_);
        for (uint256 i = 0; i < words_.length; ++i) {
            _written[offset + i] = words_[i];
        }
    }

    /// @dev One account, and not the owner.
    function _requireTeacher() internal view override {
        require(msg.sender == teacher, OwnableUnauthorizedAccount(msg.sender));
    }
}
