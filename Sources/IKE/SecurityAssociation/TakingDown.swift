// Children that are taken down while exchanges that are under way make more of them.
extension IKESA {
    /// Deletes all children of a name, and what exchanges make of them that have begun.
    func takeDown(child name: String) {
        _ = withEstablished { established in
            established.tasks.removeAll {
                if case .createChild(let planned) = $0 { planned.name == name } else { false }
            }
            established.takenDown.insert(name)
        }
        deleteTakenDown(name)
        runNextTask()
    }

    /// Deletes a child that has come up, if it belongs to those that are being taken down.
    func deleteTakenDown(_ name: String) {
        guard let established, established.takenDown.contains(name) else { return }
        for child in established.children where child.configuration.name == name && child.state != .deleting {
            let isPlanned = established.tasks.contains {
                if case .deleteChild(child.inboundSPI, _) = $0 { true } else { false }
            }
            if !isPlanned { enqueue(.deleteChild(inboundSPI: child.inboundSPI, reason: "taken down")) }
        }
    }

    /// Somebody wants these children again.
    func stopTakingDown(children names: [String]) { _ = withEstablished { $0.takenDown.subtract(names) } }

    /// What is begun when the last of a name has gone may stay.
    func forgetTakenDown() {
        guard let names = established?.takenDown, !names.isEmpty else { return }
        for name in names where !hasOrMakes(child: name) { _ = withEstablished { $0.takenDown.remove(name) } }
    }

    private func hasOrMakes(child name: String) -> Bool {
        guard let established else { return false }
        if established.children.contains(where: { $0.configuration.name == name }) { return true }
        if case .child(let creation) = established.outgoing, creation.configuration.name == name { return true }
        if case .child(let answer) = established.incoming, answer.agreed.configuration.name == name { return true }
        if case .child(let agreed, _, _) = established.unfinished?.subject { return agreed.configuration.name == name }
        return false
    }
}
