// IKEMessage
