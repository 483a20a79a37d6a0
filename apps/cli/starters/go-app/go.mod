module example.com/starter-name

go 1.22
