"""What all emitters of Python share: names, text, classical ops, the loop around growing circuits.

`names`, `text` and `classical` serve every library; `arrays` is NumPy's dialect of `classical`.
`body`, `pieces` and `module` write a model for an SDK whose circuits grow from readout to readout;
what differs between SDKs is a `Vendor`.
"""
