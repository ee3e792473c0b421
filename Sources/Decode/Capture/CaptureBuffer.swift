import Octets

/// The octets of a capture that have come and are not read yet, and where they stand in the file.
struct CaptureBuffer: Sendable {
    private var octets: [UInt8] = []
    private var start = 0
    /// Offset of the next octet in the file.
    private(set) var offset = 0
    /// Nothing will come any more.
    private(set) var isComplete = false

    var count: Int { octets.count - start }

    mutating func append(_ more: [UInt8]) {
        octets.removeSubrange(..<start)
        start = 0
        octets += more
    }

    mutating func complete() { isComplete = true }

    /// A reader over the next octets, which stay where they are; `nil` if they have not all come.
    func peek(_ count: Int) -> OctetReader? {
        guard count <= self.count else { return nil }
        return OctetReader(octets[start..<start + count], offset: offset)
    }

    mutating func skip(_ count: Int) {
        let count = min(count, self.count)
        start += count
        offset += count
    }
}

/// In which order a capture has the octets of its numbers.
enum ByteOrder: Sendable {
    case big, little
}

/// Reads the fields of a record or block, which have the order of their file.
struct FieldReader {
    private var reader: OctetReader
    private let order: ByteOrder

    init(_ reader: OctetReader, _ order: ByteOrder) {
        self.reader = reader
        self.order = order
    }

    var offset: Int { reader.offset }
    var remaining: Int { reader.remaining }

    mutating func uint16(_ field: String) throws(CaptureError) -> UInt16 {
        do {
            let value = try reader.readUInt16(field)
            return order == .big ? value : value.byteSwapped
        } catch {
            throw CaptureError(error)
        }
    }

    mutating func uint32(_ field: String) throws(CaptureError) -> UInt32 {
        do {
            let value = try reader.readUInt32(field)
            return order == .big ? value : value.byteSwapped
        } catch {
            throw CaptureError(error)
        }
    }

    mutating func uint64(_ field: String) throws(CaptureError) -> UInt64 {
        do {
            let value = try reader.readUInt64(field)
            return order == .big ? value : value.byteSwapped
        } catch {
            throw CaptureError(error)
        }
    }

    mutating func octets(_ count: Int, _ field: String) throws(CaptureError) -> [UInt8] {
        do {
            return try reader.readOctets(count, field)
        } catch {
            throw CaptureError(error)
        }
    }

    mutating func skip(_ count: Int, _ field: String) throws(CaptureError) {
        do {
            try reader.skip(count, field)
        } catch {
            throw CaptureError(error)
        }
    }
}

extension CaptureError {
    fileprivate init(_ error: OctetError) {
        self.init(offset: error.offset, reason: "\(error.field): \(error.reason)")
    }
}
