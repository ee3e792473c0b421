// IPsecCrypto
