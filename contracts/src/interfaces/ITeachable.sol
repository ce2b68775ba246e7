// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title A federation's head that contributions of data teach between its rounds.
/// @notice It is an `IHead` to its federation and an `IClassifier` to everybody else. Two lists of
/// words: the federation's, as it last wrote them (`words()`), and the live ones (`words(offset,
/// count)`), which `predict` answers from and `update` teaches.
///
/// A round whose number is a multiple of `encoderEvery` trains the encoder too: features mean
/// something else then, so the live words become the federation's, and `release` grows by one.
/// Any other round trains the head alone: every live number moves by what the federation's number
/// moved, and stops at the ends of its type.
///
/// Warning: what contributions teach is not in the federation's next base model, and a round that
/// trains the encoder ends it.
/// Warning: after a number stopped at an end of its type, it has lost what went beyond: only then
/// is the order of rounds and contributions of consequence.
interface ITeachable {
    /// @notice `setTeacher` while there is one, or with no address, or with the owner's.
    error WrongTeacher(address current, address given);
    /// @notice `setTeacher` by another than the founder.
    error NotFounder(address caller);

    /// @notice From now on this account alone teaches; nobody if it is zero.
    event TeacherSet(address indexed teacher);
    /// @notice A round's head came in. `release` is the one that counts from now on; `replaced`
    /// is false where the live words were moved.
    event HeadMerged(uint64 indexed round, uint256 indexed release, bool replaced);

    /// @notice Which rounds train the encoder: those whose number is a multiple; none if it is 0.
    function encoderEvery() external view returns (uint256);
    /// @notice Who may call `update`; nobody if it is zero.
    function teacher() external view returns (address);
    /// @notice Who deployed the head, and chooses its teacher.
    function founder() external view returns (address);
    /// @notice Chooses the teacher; founder only, and only while there is none.
    /// Warning: a teacher keeps its right until it hands the model on (`transferOwnership`, as a
    /// trainer does when it closes). Then there is no teacher, and the founder may choose another;
    /// the head itself stays the federation's.
    /// Warning: the founder may choose an account instead of a trainer, which then teaches
    /// whatever it likes. Who relies on the live words looks at who the teacher is.
    function setTeacher(address teacher_) external;
}
