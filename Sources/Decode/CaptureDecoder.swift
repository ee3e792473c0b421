import IKEMessage
import Octets

/// Finds the IKE and ESP of a capture and takes it apart.
///
/// The capture is given piece by piece; what can be decoded of it is then asked for. Nothing in a capture can make it trap, loop
/// or keep memory without bound.
package struct CaptureDecoder {
    /// How much there was.
    package struct Counts: Hashable, Sendable {
        package var packets = 0
        package var ike = 0
        package var esp = 0
        package var unreadable = 0
    }

    private var reader = CaptureReader()
    private var extraction: IPsecExtraction
    private var ike: IKEDecoder
    private var esp: ESPDecoder
    private var found: [IPsecPacket] = []
    private var next = 0
    package private(set) var counts = Counts()

    /// - Parameters:
    ///   - ports: where IKE is to be looked for besides UDP 500 and 4500, and TCP 4500.
    ///   - codePoints: what stands for that which drafts leave open.
    package init(keys: KeyTable = KeyTable(), ports: Set<UInt16> = [], codePoints: CodePoints = CodePoints()) {
        extraction = IPsecExtraction(ports: ports)
        ike = IKEDecoder(keys, codePoints)
        esp = ESPDecoder(keys)
    }

    package mutating func append(_ octets: [UInt8]) { reader.append(octets) }

    /// Says that the capture ends with what has been given.
    package mutating func complete() { reader.complete() }

    /// Packets of links whose form is not known here, by link.
    package var unknownLinks: [LinkType: Int] { extraction.unknownLinks }

    /// The next message or packet; `nil` if more of the capture is needed for it, or there is none.
    package mutating func nextEntry() throws(CaptureError) -> DecodedEntry? {
        while next >= found.count {
            guard let captured = try reader.next() else { return nil }
            counts.packets += 1
            found = extraction.packets(in: captured)
            next = 0
        }
        defer { next += 1 }
        return decode(found[next])
    }

    private mutating func decode(_ packet: IPsecPacket) -> DecodedEntry {
        let body =
            switch packet.content {
            case .ike: ike.decode(packet)
            case .esp: esp.decode(packet)
            }
        switch body {
        case .ike: counts.ike += 1
        case .esp: counts.esp += 1
        case .unreadable: counts.unreadable += 1
        }
        return DecodedEntry(
            frame: packet.frame, time: packet.time, carrier: packet.carrier, source: packet.source,
            destination: packet.destination, length: packet.octets.count, missing: packet.missing, body: body)
    }

    /// The whole of a capture as text, with the error it ends with, if any, as the last line.
    package static func lines(
        of capture: [UInt8], keys: KeyTable = KeyTable(), ports: Set<UInt16> = [], codePoints: CodePoints = CodePoints()
    ) -> [String] {
        var decoder = CaptureDecoder(keys: keys, ports: ports, codePoints: codePoints)
        decoder.append(capture)
        decoder.complete()
        var lines: [String] = []
        do throws(CaptureError) {
            while let entry = try decoder.nextEntry() { lines += EntryText.lines(entry) }
        } catch {
            lines.append("\(error)")
        }
        return lines
    }
}
