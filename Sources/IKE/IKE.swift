// IKE
