/// What waits, first in, first out. What has been taken is not held any longer, however many wait behind it.
package struct WaitingQueue<Element> {
    private var elements: [Element?] = []
    private var first = 0

    package init() {}

    /// How many places are held for what waits and what has waited.
    package var storedCount: Int { elements.count }

    package mutating func append(_ element: Element) { elements.append(element) }

    /// The one that has waited longest; `nil` if nothing waits.
    package mutating func popFirst() -> Element? {
        guard first < elements.count else { return nil }
        let element = elements[first]
        elements[first] = nil
        first += 1
        // Moving the others up costs as much as they are many: not before as many have gone.
        if first >= 64, first * 2 >= elements.count {
            elements.removeFirst(first)
            first = 0
        }
        return element
    }
}
