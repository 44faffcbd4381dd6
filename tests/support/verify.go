// What crypto/x509 says to certificate chains: JSON in, {id: why it refuses} out.
package main

import (
	"crypto/x509"
	"encoding/json"
	"os"
)

type question struct {
	Anchors [][]byte
	Cases   []struct {
		ID, Host string
		Chain    [][]byte
	}
}

func parse(ders [][]byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for _, der := range ders {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
	return certs, nil
}

func verify(host string, ders [][]byte, roots *x509.CertPool) error {
	chain, err := parse(ders)
	if err != nil {
		return err
	}
	others := x509.NewCertPool()
	for _, cert := range chain[1:] {
		others.AddCert(cert)
	}
	_, err = chain[0].Verify(x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: others})
	return err
}

func main() {
	var q question
	if err := json.NewDecoder(os.Stdin).Decode(&q); err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	for _, der := range q.Anchors {
		// As we do: what cannot be read is passed over.
		if cert, err := x509.ParseCertificate(der); err == nil {
			roots.AddCert(cert)
		}
	}
	answer := map[string]string{}
	for _, c := range q.Cases {
		answer[c.ID] = ""
		if err := verify(c.Host, c.Chain, roots); err != nil {
			answer[c.ID] = err.Error()
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		panic(err)
	}
}
